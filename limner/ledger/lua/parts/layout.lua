-- The layout of the ledger itself.

-- Refuses a ledger of another layout: what is in it stays as it is, for workers of the version that wrote it.
-- Returns nil for a ledger of this layout, and for an empty one, which has it from now on.
local function other_layout()
  local layout = redis.pcall('GET', LAYOUT)
  if type(layout) == 'table' then return redis.error_reply('BROKEN the layout of the ledger is no text') end
  local version = tonumber(layout)
  if version == VERSION then return nil end
  if layout and not (version and version == version) then
    return redis.error_reply('BROKEN the layout of the ledger is no number')
  end
  if not layout and redis.call('EXISTS', TURNS_NOW, ACCOUNTS) == 0 then
    redis.call('SET', LAYOUT, VERSION)
    return nil
  end
  local age = layout and version > VERSION and 'NEWER' or 'OLDER'
  return redis.error_reply(age .. ' the ledger has layout ' .. (layout or 'of before 5') .. ', known is ' .. VERSION)
end
