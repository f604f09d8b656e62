-- Writes what filter.lua finds as Typst; report/paper.typ has the functions that are called here.

local writer = {}

-- Tables of more rows than this may be split over pages, with their heads.
local LONG = 16

local function typst(code)
  return pandoc.RawInline("typst", code)
end

-- A Typst string literal.
local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("%s+", " ") .. '"'
end

function writer.figure(div)
  local floats_as = div.attributes["in-row"] and "" or div.identifier -- a row floats as a whole
  local opening = ("#report-figure(%s, %s, %s, width: %s, alt: %s)["):format(
    quoted(floats_as), quoted("/" .. div.attributes.path), quoted(div.attributes.number), div.attributes.width,
    quoted(div.attributes.alt))
  local caption = pandoc.Inlines { typst(opening) }
  caption:extend(pandoc.utils.blocks_to_inlines(div.content))
  caption:insert(typst("#end-mark(of: \"figure\")] <" .. div.identifier .. ">"))
  return pandoc.Plain(caption)
end

function writer.figure_row(div)
  local row = pandoc.Inlines { typst("#figure-row(" .. quoted(div.attributes.name) .. ")[") }
  row:extend(div.content[1].content)
  row:insert(typst("]["))
  row:extend(div.content[2].content)
  row:insert(typst("]"))
  return pandoc.Plain(row)
end

-- Typst fits the columns to their words, and does it well unless one of them holds sentences; pandoc
-- would to the dashes in the Markdown, which say which one does.
local function fit_columns(block)
  local sentences = false
  block.colspecs = block.colspecs:map(function(column)
    if (column[2] or 0) < SENTENCES then return { column[1] } end
    sentences = true
    return { column[1], SENTENCES }
  end)
  if sentences or #block.colspecs > 5 then
    block.attributes["typst:inset"] = "(x: 4pt, y: 3.4pt)"
  end
end

-- The end of each paragraph, formula, item and table is marked, so that gaps can be seen.
function writer.blocks(block)
  local mark = typst("#end-mark()")
  if block.t == "Para" or block.t == "Plain" then
    local last = block.content[#block.content]
    local is_formula = last.t == "Math" and last.mathtype == "DisplayMath"
    block.content:insert(is_formula and typst("#place(end())") or mark)
  elseif block.t == "BulletList" or block.t == "OrderedList" then
    block.content = block.content:map(function(item)
      item:extend(writer.blocks(item:remove(#item)))
      return item
    end)
  elseif block.t == "Table" then
    fit_columns(block)
    block.attributes.number = nil
    local body = block.bodies[#block.bodies].body
    local last = body[#body].cells[#body[#body].cells].contents
    if #last == 0 then last:insert(pandoc.Plain {}) end
    last[#last].content:insert(typst('#place(end(of: "table"))'))
    local opening = "#report-table(" .. quoted(block.identifier) .. ")["
    if #block.bodies[1].body > LONG then opening = "#long-table[" end
    return { pandoc.RawBlock("typst", opening), block, pandoc.RawBlock("typst", "]") }
  elseif block.t == "Header" then
    block.attributes.number = nil
  end
  return { block }
end

-- Pandoc's own translation, mended. It rounds \; to nothing and \! to a whole em, and writes an
-- operator as a word, with spaces around it.

local mends = {
  { "#h%(0em%)", "thick" },
  { " ?#h%(%-1em%)", "" }, -- Typst sets no space here that would have to be taken back
  { '"([%a ]+)"', 'op("%1")' },
  { 'upright%(op%(("[%a ]+")%)%)', "upright(%1)" },
}

local translated = {} -- by formula: the same stand in many cells of a table

local function typst_code(math)
  local key = math.mathtype .. math.text
  if not translated[key] then
    local code = pandoc.write(pandoc.Pandoc { pandoc.Plain { math } }, "typst"):gsub("%s+$", "")
    for _, mend in ipairs(mends) do
      code = code:gsub(mend[1], mend[2])
    end
    translated[key] = code
  end
  return translated[key]
end

function writer.math(math, label)
  local code = typst_code(math)
  local options = "alt: " .. quoted(math.text)
  if label then
    options = options .. ', numbering: "(1)"'
    code = code .. " <" .. label .. ">"
  end
  return typst("#[#set math.equation(" .. options .. ");" .. code .. "];")
end

-- Typst counts for itself; it stops where it comes to another number.
function writer.reference(words, label, number)
  words:insert(1, typst(("#reference(<%s>, %s)["):format(label, quoted(number))))
  words:insert(typst("];"))
  return words
end

local forms = {
  author = '#cite(<%s>, form: "author");',
  both = '#cite(<%s>, form: "author");, #cite(<%s>, form: "year");',
  prose = '#cite(<%s>, form: "prose");',
}

function writer.cite(_, key, form)
  return typst((forms[form]:gsub("%%s", key)))
end

return writer
