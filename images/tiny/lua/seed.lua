-- Finds the NoCloud seed and reads it: an ISO 9660 volume labelled cidata on any disk or CD-ROM.
local system = require("system")
local yaml = require("lyaml")

local seed = {}

-- Offset of the volume label in the primary volume descriptor, and its length (ECMA-119, 8.4).
local LABEL_OFFSET, LABEL_LENGTH = 16 * 2048 + 40, 32

local function is_seed(device)
  local file = io.open(device, "rb")
  if not file then
    return false
  end
  local label = file:seek("set", LABEL_OFFSET) and file:read(LABEL_LENGTH)
  file:close()
  return label ~= nil and label:match("^(.-)%s*$"):lower() == "cidata"
end

local function find_device()
  for _, name in ipairs(system.list("/sys/class/block")) do
    if name:match("^vd") or name:match("^sd") or name:match("^sr") then
      if is_seed("/dev/" .. name) then
        return "/dev/" .. name
      end
    end
  end
  return nil
end

-- Parses a document; a broken one is reported and counts as empty, so that one mistake leaves the rest usable.
local function parse(name, text)
  local ok, value = pcall(yaml.load, text or "")
  if not ok then
    system.say("failed parse %s: %s", name, (tostring(value):gsub("%s+", " ")))
    return {}
  end
  return type(value) == "table" and value or {}
end

-- The value as a table; lyaml has a sentinel for null.
function seed.list(value)
  if type(value) == "table" and value ~= yaml.null then
    return value
  end
  return {}
end

-- The value as text or number; nil for null, absent or a table.
function seed.scalar(value)
  if value == nil or type(value) == "table" then
    return nil
  end
  return value
end

-- Waits a little for the seed; returns nil without one, or {device, instance, meta, network, user, script}.
function seed.load()
  local device = find_device()
  for _ = 1, 20 do
    if device then
      break
    end
    os.execute("sleep 0.1")
    device = find_device()
  end
  if not device then
    return nil
  end
  system.run("mkdir", "-p", "/run/seed")
  if not system.run("mount", "-t", "iso9660", "-o", "ro", device, "/run/seed") then
    system.say("failed mount %s", device)
    return nil
  end
  local texts = {}
  for _, name in ipairs({ "meta-data", "network-config", "user-data" }) do
    texts[name] = system.read("/run/seed/" .. name)
  end
  system.run("umount", "/run/seed")

  local found = { device = device, meta = parse("meta-data", texts["meta-data"]) }
  -- As it is written: an identity of digits would become a number, and lose some of them.
  found.instance = ("\n" .. (texts["meta-data"] or "")):match("\n[\"']?instance%-id[\"']?%s*:%s*[\"']?([^\"'%s]+)")
  if texts["network-config"] then
    local network = parse("network-config", texts["network-config"])
    found.network = seed.list(network.network or network)
  end
  local user = texts["user-data"] or ""
  if user:match("^#!") then
    found.user, found.script = {}, user
  elseif user:match("^#cloud%-config") then
    found.user = parse("user-data", user)
  else
    found.user = {}
    if user:match("%S") then
      system.say("ignored user-data: neither #cloud-config nor #!")
    end
  end
  return found
end

return seed
