-- Pandoc filter for the report's Markdown: title and abstract, labels, figures, references and
-- citations. vaelib/publishing/cells.py says what the notebook may hold; typst.lua and html.lua write
-- what is found here. What cannot be set stops the build with one line.

-- Of the text's width, what a table's column of sentences gets; one that asks for less holds none.
SENTENCES = 0.4 -- global: both writers read it

local folder = pandoc.path.directory(PANDOC_SCRIPT_FILE)
local writer = dofile(pandoc.path.join { folder, FORMAT .. ".lua" })

local function refuse(message, ...)
  error((message:format(...):gsub("%s+", " ")), 0)
end

-- The words without marks; pandoc ties "et al." to what follows.
local function text_of(element)
  return (pandoc.utils.stringify(element):gsub("\u{a0}", " "))
end

-- Labels: each is declared once.

local declared = {}

local function declare(label, prefix, what)
  if not label:match("^" .. prefix .. "%-[%w%-]+$") then
    refuse("the label of %s is '%s'; it must look like %s-name", what, label, prefix)
  end
  if declared[label] then refuse("the label '%s' is given twice", label) end
  declared[label] = true
  return label
end

local function anchor_of(inline)
  return inline and inline.t == "RawInline" and inline.format == "html"
    and inline.text:match('^<a id="([^"]+)">$')
end

-- The label of a paragraph that holds nothing but an anchor.
local function lone_anchor(block)
  return block.t == "Para" and #block.content == 2 and anchor_of(block.content[1])
end

-- Front matter: the title, the answer and the masthead under it, the abstract.

-- Removes the paragraphs that start at an index from the blocks and returns them; nil for none.
local function take_paragraphs(blocks, index)
  local taken = pandoc.Blocks {}
  while blocks[index] and blocks[index].t == "Para" and not lone_anchor(blocks[index]) do
    taken:insert(blocks:remove(index))
  end
  return #taken > 0 and taken or nil
end

local function take_front_matter(doc)
  local blocks, meta = doc.blocks, doc.meta
  local first = blocks:remove(1)
  if not first or first.t ~= "Header" or first.level ~= 1 then
    refuse("the first cell must start with '# Title'")
  end
  meta.title = first.content
  meta["short-title"] = text_of(first):match("^[^:]+")
  local below = take_paragraphs(blocks, 1)
  if below then
    meta.lead = pandoc.Blocks { below:remove(1) }
    if #below > 0 then meta.masthead = below end
  end
  local _, index = blocks:find_if(function(block)
    return block.t == "Header" and text_of(block) == "Abstract"
  end)
  if index then
    blocks:remove(index)
    meta.abstract = take_paragraphs(blocks, index)
  end
end

-- Headings: ## is a section. A number typed before the words must be the one that is printed.

local counts = { 0, 0, 0, 0, 0, 0 }
local numbers = {} -- of headings, tables and equations, by label
local in_appendix = false

local function heading_number(level)
  local parts = { table.unpack(counts, 1, level) }
  if in_appendix then parts[1] = string.char(64 + parts[1]) end
  return table.concat(parts, ".")
end

local function set_heading(header)
  local level = header.level - 1
  if level == 0 then refuse("there is a second '# Title': '%s'", text_of(header)) end
  header.level = level
  local words = text_of(header)
  if words:match("^Appendix: ") then
    header.content = pandoc.Inlines((words:gsub("^Appendix: (.)", string.upper)))
    if not in_appendix then
      in_appendix, counts = true, { 0, 0, 0, 0, 0, 0 }
      header.classes:insert("first-appendix")
    end
  end
  counts[level] = counts[level] + 1
  for deeper = level + 1, 6 do counts[deeper] = 0 end
  header.attributes.number = heading_number(level)
  local first = header.content[1]
  local typed = first and first.t == "Str" and first.text:match("^(%d[%d%.]*)$")
  if typed then
    typed = typed:gsub("%.$", "")
    local printed = heading_number(level)
    if typed ~= printed then
      refuse("the heading '%s' is numbered %s by hand; it is %s", text_of(header), typed, printed)
    end
    header.content = pandoc.Inlines { table.unpack(header.content, 3) }
  end
end

local tables = 0

local function set_table(block, label)
  block.identifier = label or block.identifier
  local is_numbered = #block.caption.long > 0
  if is_numbered then tables = tables + 1 end
  if block.identifier ~= "" then
    declare(block.identifier, "tbl", "a table")
    if not is_numbered then refuse("%s has no caption", block.identifier) end
    numbers[block.identifier] = tostring(tables)
  end
  block.attributes.number = is_numbered and tostring(tables) or nil
end

local function take_labels(blocks)
  local kept, label = pandoc.Blocks {}, nil
  for _, block in ipairs(blocks) do
    local anchor = lone_anchor(block)
    if block.t == "Header" then
      set_heading(block)
      local slug = "sec-" .. text_of(block):lower():gsub("[^%w]+", "-"):gsub("%-$", "")
      block.identifier = declare(label or slug, "sec", "a heading")
      numbers[block.identifier] = block.attributes.number
    elseif block.t == "Table" then
      set_table(block, label)
    elseif label then
      refuse("the anchor '%s' stands before neither a heading nor a table", label)
    end
    label = anchor
    if not anchor then kept:insert(block) end
  end
  if label then refuse("the anchor '%s' stands before nothing", label) end
  return kept
end

-- Figures: the number is the one in the label.

local function label_figures(blocks)
  for _, block in ipairs(blocks) do
    if block.t == "Div" and block.classes:includes("figure") then
      local label = declare(block.identifier, "fig", "a figure")
      local number = label:match("^fig%-(%a?%d+)$")
      if not number then
        refuse("the figure label '%s' has no number; it must look like fig-3 or fig-a1", label)
      end
      numbers[label] = number:upper()
      block.attributes.number = number:upper()
    end
  end
end

-- The appendices: from the first of them to the end. They come after the bibliography.
local function take_appendices(doc)
  local _, index = doc.blocks:find_if(function(block)
    return block.t == "Header" and block.classes:includes("first-appendix")
  end)
  if not index then return end
  doc.meta.appendix = pandoc.Blocks {}
  while doc.blocks[index] do doc.meta.appendix:insert(doc.blocks:remove(index)) end
end

-- Figures of at most half the width that follow each other stand side by side, two in a row.

local function is_half(block)
  return block and block.t == "Div" and block.classes:includes("figure")
    and tonumber((block.attributes.width:gsub("%%", ""))) <= 50
end

local function pair_figures(blocks)
  local kept, i = pandoc.Blocks {}, 1
  while i <= #blocks do
    if is_half(blocks[i]) and is_half(blocks[i + 1]) then
      local pair = { blocks[i], blocks[i + 1] }
      for _, figure in ipairs(pair) do
        figure.attributes.width, figure.attributes["in-row"] = "100%", "yes"
      end
      local name = { name = pair[1].identifier }
      kept:insert(pandoc.Div(pair, pandoc.Attr("", { "figure-row" }, name)))
      i = i + 2
    else
      kept:insert(blocks[i])
      i = i + 1
    end
  end
  return kept
end

-- Figures stand in the order of their numbers, 1 to 14 and A1 to A13 each by themselves.
local function check_order(blocks)
  local last = {}
  for _, block in ipairs(blocks) do
    if block.t == "Div" and block.classes:includes("figure") then
      local series, number = block.identifier:match("^fig%-(%a?)(%d+)$")
      if number and last[series] and tonumber(number) < last[series] then
        refuse("%s stands behind fig-%s%d", block.identifier, series, last[series])
      end
      if number then last[series] = tonumber(number) end
    end
  end
end

-- A paragraph is made of whole sentences; one that an equation interrupts goes on after it.

local function is_equation(block)
  local last = block and block.t == "Para" and block.content[#block.content]
  return last and last.t == "Math" and last.mathtype == "DisplayMath"
end

local function check_sentences(blocks)
  for index, block in ipairs(blocks) do
    local words = block.t == "Para" and not is_equation(block) and text_of(block)
    if words then
      local is_continued = is_equation(blocks[index - 1])
      local is_interrupted = is_equation(blocks[index + 1])
      if words:match("^%l") and not is_continued then
        refuse("a sentence begins with a small letter: '%s'", words)
      end
      if not words:match("[%.%?!:][%)\"\u{201d}\u{2019}]*$") and not is_interrupted then
        refuse("a sentence has no end: '%s'", words)
      end
      if words:match("%s[%.,;:]%f[%s%z]") or words:match("%(%s*%)") then
        refuse("a word is missing: '%s'", words)
      end
    end
  end
end

-- Every figure and table is referred to somewhere.
local function check_cited(doc)
  local cited = {}
  doc:walk { Link = function(link) cited[link.target:sub(2)] = true end }
  for label in pairs(declared) do
    if label:match("^tbl%-") and not cited[label] then refuse("no sentence refers to %s", label) end
  end
  doc:walk {
    Div = function(div)
      if div.classes:includes("figure") and not cited[div.identifier] then
        refuse("no sentence refers to %s", div.identifier)
      end
    end,
  }
end

-- Mathematics.

local dropped = { "tag", "label", "color", "textcolor", "ref", "eqref" }

local function set_math(math, label)
  for _, macro in ipairs(dropped) do
    if math.text:find("\\" .. macro .. "%f[%A]") then
      refuse("\\%s cannot be set, in the formula %s", macro, text_of(math))
    end
  end
  return writer.math(math, label, label and numbers[label])
end

-- References and citations.

local function set_reference(link, label)
  local typed = {}
  for number in text_of(link.content):gmatch("%f[%w]%u?%d+[%.%d]*") do
    table.insert(typed, (number:gsub("%.$", "")))
  end
  if #typed > 1 then
    refuse("[%s](#%s) holds more than one number; link each by itself", text_of(link), label)
  end
  if not numbers[label] then refuse("there is nothing labelled '%s' to refer to", label) end
  if typed[1] and typed[1] ~= numbers[label] then
    refuse("a reference to '%s' says %s, but its number is %s", label, typed[1], numbers[label])
  end
  local words = link.content:walk { Space = function() return pandoc.Str("\u{a0}") end }
  return writer.reference(words, label, numbers[label])
end

local function read_bibliography()
  local file <close> = assert(io.open(pandoc.path.join { folder, "references.bib" }))
  local entries = {}
  local references = pandoc.read(file:read("a"), "bibtex").meta.references
  for _, entry in ipairs(references) do
    local names = entry.author:map(function(author) return text_of(author.family) end)
    local last = #names > 2 and " et al." or names[2] and " and " .. names[2] or ""
    entries[entry.id] = {
      names = names[1] .. last,
      year = entry.issued and text_of(entry.issued):sub(1, 4),
    }
  end
  return entries, references
end

local bibliography, references
local cited_works = {}

local function set_citation(link, key)
  if not bibliography then bibliography, references = read_bibliography() end
  local entry = bibliography[key]
  if not entry then refuse("'%s' is not in references.bib", key) end
  cited_works[key] = true
  local typed = text_of(link.content)
  if typed == entry.names then return writer.cite(link, key, "author") end
  if entry.year then
    if typed == entry.names .. ", " .. entry.year then return writer.cite(link, key, "both") end
    if typed == ("%s (%s)"):format(entry.names, entry.year) then
      return writer.cite(link, key, "prose")
    end
  end
  local right = entry.names .. (entry.year and ", " .. entry.year or "")
  refuse("[%s](#ref-%s) must read '%s'", typed, key, right)
end

local function set_link(link)
  local kind, name = link.target:match("^#(%a+)%-(.+)$")
  if kind == "ref" then return set_citation(link, name) end
  if kind == "fig" or kind == "tbl" or kind == "eq" or kind == "sec" then
    return set_reference(link, link.target:sub(2))
  end
  if link.target:match("^#") then
    refuse("[%s](%s) refers to no figure, table, equation, section or reference",
      text_of(link), link.target)
  end
  if link.target:match("^%a+:") then return nil end
  return link.content -- a file beside the notebook: the words stay
end

-- The equation that an anchor at this index names, and where it is: <a id="eq-x"></a>, $$...$$.
local function labelled_equation(inlines, index, label)
  local found = index + 2 -- after <a> and </a>
  while inlines[found] and (inlines[found].t == "Space" or inlines[found].t == "SoftBreak") do
    found = found + 1
  end
  local math = inlines[found]
  if not (math and math.t == "Math" and math.mathtype == "DisplayMath") then
    refuse("the anchor '%s' does not stand alone, nor right before an equation", label)
  end
  return math, found
end

-- Equations are numbered before anything refers to them.
local function number_equations(blocks)
  local count = 0
  blocks:walk {
    Inlines = function(inlines)
      for index, inline in ipairs(inlines) do
        local label = anchor_of(inline)
        if label then
          labelled_equation(inlines, index, label)
          declare(label, "eq", "an equation")
          count = count + 1
          numbers[label] = tostring(count)
        end
      end
    end,
  }
end

local function set_inlines(inlines)
  local set, index = pandoc.Inlines {}, 1
  while index <= #inlines do
    local inline, label = inlines[index], anchor_of(inlines[index])
    if label then
      inline, index = labelled_equation(inlines, index, label)
      inline = set_math(inline, label)
    elseif inline.t == "Math" then
      inline = set_math(inline)
    elseif inline.t == "Image" then
      refuse("the picture '%s' is in the running text; show it as a figure", inline.src)
    end
    set:insert(inline)
    index = index + 1
  end
  return set
end

local function check_raw(raw)
  if raw.format == FORMAT then return nil end
  if raw.text:match("^%s*<!%-%-.*%-%->%s*$") then return {} end
  refuse("'%s' is raw %s, which cannot be set", raw.text, raw.format:upper())
end

-- What belongs together is not torn apart at the end of a line: a number and its interval, a heading
-- and its arrow.
local tied = { ["±"] = true, ["↑"] = true, ["↓"] = true, ["→"] = true }

local function tie(inlines)
  for i = 2, #inlines - 1 do
    local before, after = inlines[i - 1], inlines[i + 1]
    if inlines[i].t == "Space" and ((before.t == "Str" and tied[before.text])
        or (after.t == "Str" and tied[after.text])) then
      inlines[i] = pandoc.Str("\u{a0}")
    end
  end
  return inlines
end

local function set_document(doc)
  take_front_matter(doc)
  doc.blocks = take_labels(doc.blocks)
  label_figures(doc.blocks)
  number_equations(doc.blocks)
  check_order(doc.blocks)
  check_sentences(doc.blocks)
  if doc.meta.abstract then check_sentences(doc.meta.abstract) end
  check_cited(doc)
  local set = pandoc.Blocks {}
  for _, block in ipairs(pair_figures(doc.blocks)) do
    set:extend(block.t == "Div" and { block } or writer.blocks(block))
  end
  doc.blocks = set
  take_appendices(doc)
  return doc
end

-- Minus signs and dashes as they are printed; code is no Str.
local function set_minus(str)
  if str.text == "-" then return pandoc.Str("\u{2013}") end
  return pandoc.Str((str.text:gsub("^(%(?)%-(%d)", "%1\u{2212}%2")))
end

local function set_div(div)
  if div.classes:includes("figure") then return writer.figure(div) end
  if div.classes:includes("figure-row") then return writer.figure_row(div) end
end

local function add_bibliography(doc)
  if writer.bibliography then
    doc.meta.bibliography = writer.bibliography(references or {}, cited_works)
  end
  return doc
end

return {
  { Pandoc = set_document },
  -- before the formulas, so that a picture's description has them in words
  { Div = set_div },
  { Inlines = set_inlines },
  { Link = set_link },
  { RawInline = check_raw, RawBlock = check_raw },
  { Str = set_minus },
  { Inlines = tie },
  { Pandoc = add_bibliography },
}
