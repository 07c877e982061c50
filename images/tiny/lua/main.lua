-- Applies the NoCloud seed, as cloud-init does: the network and bootcmd at each start, the rest once per instance.
package.path = "/usr/lib/freehold/?.lua;" .. package.path
local accounts = require("accounts")
local network = require("network")
local seed = require("seed")
local system = require("system")

local STATE = "/var/lib/freehold"
local HOST_KEY = "/etc/dropbear/dropbear_ed25519_host_key"

-- Keys that are applied below or in accounts.lua, or that state what is so anyway.
local KNOWN = {
  bootcmd = true, chpasswd = true, disable_root = true, fqdn = true, groups = true, growpart = true, hostname = true,
  manage_etc_hosts = true, password = true, preserve_hostname = true, prefer_fqdn_over_hostname = true,
  resize_rootfs = true, runcmd = true, ssh_authorized_keys = true, ssh_pwauth = true, users = true, write_files = true,
}

-- Puts strings as they are and lists as quoted words into one script; returns its path, or nil when there is nothing.
local function script(name, commands)
  if seed.scalar(commands) then
    commands = { commands }
  end
  local lines = { "#!/bin/sh" }
  for _, command in ipairs(seed.list(commands)) do
    if type(command) == "table" then
      local words = {}
      for _, word in ipairs(command) do
        words[#words + 1] = system.quote(word)
      end
      lines[#lines + 1] = table.concat(words, " ")
    else
      lines[#lines + 1] = tostring(command)
    end
  end
  if #lines == 1 then
    return nil
  end
  local path = STATE .. "/" .. name
  system.write(path, table.concat(lines, "\n") .. "\n", { mode = "700" })
  return path
end

-- Runs a script; returns its exit status.
local function execute(path)
  local _, kind, status = os.execute(system.quote(path) .. " >>/var/log/cloud-init-output.log 2>&1 </dev/null")
  return kind == "exit" and status or 128 + status
end

local function decode(text, encoding)
  encoding = tostring(encoding or "text/plain"):lower()
  local filters = {
    b64 = "base64 -d", base64 = "base64 -d",
    gz = "gzip -dc", gzip = "gzip -dc",
    ["gz+b64"] = "base64 -d | gzip -dc", ["gz+base64"] = "base64 -d | gzip -dc",
    ["gzip+b64"] = "base64 -d | gzip -dc", ["gzip+base64"] = "base64 -d | gzip -dc",
  }
  if not filters[encoding] then
    return text
  end
  system.write("/run/decode", text, { mode = "600" })
  local pipe = io.popen(filters[encoding] .. " </run/decode")
  local decoded = pipe:read("a")
  pipe:close()
  os.remove("/run/decode")
  return decoded
end

local function write_files(files, deferred)
  for _, file in ipairs(seed.list(files)) do
    if (file.defer == true) == deferred and seed.scalar(file.path) then
      local mode = seed.scalar(file.permissions) or "644"
      if type(mode) == "number" then
        mode = string.format("%o", math.floor(mode))
      end
      system.write(tostring(file.path), decode(tostring(seed.scalar(file.content) or ""), seed.scalar(file.encoding)), {
        mode = mode, owner = seed.scalar(file.owner), append = file.append == true,
      })
    end
  end
end

local function set_hostname(user, meta)
  local fqdn = seed.scalar(user.fqdn)
  local name = seed.scalar(user.hostname) or fqdn or seed.scalar(meta["local-hostname"]) or seed.scalar(meta.hostname)
  if not name then
    return
  end
  fqdn = tostring(fqdn or name)
  name = tostring(name):match("^[^.]+")
  system.write("/etc/hostname", name .. "\n")
  system.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 " .. (fqdn ~= name and fqdn .. " " or "") .. name ..
    "\n::1 localhost ip6-localhost ip6-loopback\n")
  system.run("hostname", name)
end

local function start_ssh(user, fresh)
  if fresh or not system.read(HOST_KEY) then
    os.remove(HOST_KEY)
    local pipe = io.popen("dropbearkey -t ed25519 -f " .. HOST_KEY .. " 2>/dev/null")
    local key = pipe:read("a"):match("ssh%-ed25519 %S+")
    pipe:close()
    -- Who watches the console can know the host before the first login.
    system.say("hostkey %s", key or "failed")
  end
  local words = { "dropbear", "-r", HOST_KEY }
  if user.ssh_pwauth ~= true then
    words[#words + 1] = "-s"
  end
  if user.disable_root == true then
    words[#words + 1] = "-w"
  end
  system.say(system.run(table.unpack(words)) and "ssh ready" or "ssh failed")
end

local found = seed.load()
local meta = found and found.meta or {}
local user = found and found.user or {}
local instance = found and (found.instance or tostring(seed.scalar(meta["instance-id"]) or "none")) or "none"
local fresh = system.line(STATE .. "/instance-id") ~= instance
if fresh then
  set_hostname(user, meta)
end
system.say("nocloud %s instance=%s hostname=%s", found and found.device or "none", instance, system.line("/etc/hostname"))
for key in pairs(user) do
  if not KNOWN[key] then
    system.say("ignored user-data %s", tostring(key))
  end
end

network.apply(found and found.network)
local bootcmd = script("bootcmd", user.bootcmd)
if bootcmd then
  system.say("bootcmd done %d", execute(bootcmd))
end
if fresh then
  write_files(user.write_files, false)
  accounts.apply(user)
  write_files(user.write_files, true)
end
start_ssh(user, fresh)
if fresh then
  local runcmd = script("runcmd", user.runcmd)
  if found and found.script then
    runcmd = STATE .. "/user-data"
    system.write(runcmd, found.script, { mode = "700" })
  end
  if runcmd then
    system.say("runcmd done %d", execute(runcmd))
  end
  -- Last: a guest that was cut off in between starts over.
  system.write(STATE .. "/instance-id", instance .. "\n")
  system.run("sync")
end
system.say("ready %s", (system.line("/proc/uptime") or "?"):match("^%S+"))
