-- Writes what filter.lua finds as HTML; report/paper.html has the page around it.

local writer = {}

local function html(code)
  return pandoc.RawInline("html", code)
end

local function escaped(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- A figure opens at full size where it is clicked, or chosen by key: a box that is ticked.
function writer.figure(div)
  local name = "Figure " .. div.attributes.number
  local opening = ('<figure id="%s" style="--width: %s"><label class="zoom"><input type="checkbox"'
    .. ' aria-label="%s at full size"><img src="%s" alt="%s"></label><figcaption><b>%s.</b> '):format(
    div.identifier, div.attributes.width, name, escaped(div.attributes.path),
    escaped(div.attributes.alt), name)
  local figure = pandoc.Inlines { html(opening) }
  figure:extend(pandoc.utils.blocks_to_inlines(div.content))
  figure:insert(html("</figcaption></figure>"))
  return pandoc.Plain(figure)
end

function writer.figure_row(div)
  return pandoc.Div(div.content, pandoc.Attr("", { "row" }))
end

function writer.blocks(block)
  local number = block.attributes and block.attributes.number
  if block.t == "Header" then
    block.attributes.number = nil
    block.level = block.level + 1 -- the title is the page's h1
    block.content:insert(1, pandoc.Space())
    block.content:insert(1, pandoc.Span(number, pandoc.Attr("", { "number" })))
  elseif block.t == "Table" then
    block.attributes.number = nil
    -- the browser fits the columns to their words; lines of sentences may be broken, rows of numbers not
    local kind = "numbers"
    block.colspecs = block.colspecs:map(function(column)
      if (column[2] or 0) >= SENTENCES then kind = "sentences" end
      return { column[1] }
    end)
    if number then
      local caption = pandoc.utils.blocks_to_inlines(block.caption.long)
      caption:insert(1, pandoc.Space())
      caption:insert(1, pandoc.Strong("Table " .. number .. "."))
      block.caption.long = { pandoc.Plain(caption) }
    end
    local holder = pandoc.Attr("", { "table", kind }, { { "tabindex", "0" }, { "role", "region" } })
    if number then holder.attributes["aria-label"] = "Table " .. number end
    return { pandoc.Div({ block }, holder) }
  end
  return { block }
end

function writer.math(math, label, number)
  if not label then return math end
  return pandoc.Span({ math, html('<span class="number">(' .. number .. ")</span>") },
    pandoc.Attr(label, { "equation" }))
end

function writer.reference(words, label)
  return pandoc.Link(words, "#" .. label)
end

function writer.cite(link)
  return pandoc.Link(link.content, link.target)
end

-- The works that were cited, as pandoc's own style has them, under the labels that citations have.
function writer.bibliography(references, cited)
  local keys = {}
  for key in pairs(cited) do table.insert(keys, key) end
  table.sort(keys)
  local nocite = pandoc.Inlines {}
  for _, key in ipairs(keys) do
    nocite:insert(pandoc.Cite({}, { pandoc.Citation(key, "NormalCitation") }))
  end
  local meta = { references = references, nocite = nocite, ["link-citations"] = false }
  return pandoc.utils.citeproc(pandoc.Pandoc({}, meta)).blocks
end

return writer
