-- Claimed steps that nobody will take: each permit to send and each place is free again. Attempts that somebody
-- has begun, and steps that are somebody else's by now, stay as they are. Whether a look has begun is not on
-- record: it is made again, and its permit stays used. Returns how many were given back.
local count = 0
for _, step in ipairs(A.steps) do
  local id, kind, lease = step[1], step[2], step[3]
  if kind == 'credits' then
    local pause = pause_on(id)
    if pause and tonumber(pause.check) == lease then
      nothing_tried(id)
      count = count + 1
    end
  else
    local v, state, held, looking = get(id, 'v', 'state', 'lease', 'looking')
    if v and tonumber(v) <= VERSION and tonumber(held) == lease and redis.call('ZSCORE', DUE, id) then
      if kind == 'create' and state == 'queued' and get(id, 'place') then
        take_back(id)
        redis.call('ZREM', DUE, id)
        queue_up(id)
        count = count + 1
      elseif kind == 'look' and looking and looking ~= '' then
        take_back_look(id, looking + (ended(state) and AHEAD or 0))
        count = count + 1
      elseif kind == 'settle' then
        schedule(id, NOW)
        count = count + 1
      end
    end
  end
end
if count > 0 then ring() end
return count
