-- Sends the bodies of a file in turn, and prints one JSON object.
-- wrk -s benchmarks/wrk.lua URL -- BODIES CONTENT-TYPE; BODIES has the length of each body in a line before it.

local requests, at = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for length in function() return file:read("*n", "*l") end do
    local body = file:read(length)
    requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = args[2] }, body)
  end
  file:close()
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local failed = 0
  for _, count in pairs(summary.errors) do
    failed = failed + count
  end
  print(string.format(
    '{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "longest": %f, "failed": %d}',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3, failed
  ))
end
