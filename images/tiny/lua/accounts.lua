-- Users, groups, passwords, keys and who may act as root.
local seed = require("seed")
local system = require("system")

local accounts = {}

local FIRST_ID = 1000

-- The lines of an account file as lists of fields.
local function load(path)
  local rows = {}
  for line in (system.read(path) or ""):gmatch("[^\n]+") do
    local row = {}
    for field in (line .. ":"):gmatch("([^:]*):") do
      row[#row + 1] = field
    end
    rows[#rows + 1] = row
  end
  return rows
end

local function store(path, rows, mode)
  local lines = {}
  for _, row in ipairs(rows) do
    lines[#lines + 1] = table.concat(row, ":")
  end
  system.write(path .. ".new", table.concat(lines, "\n") .. "\n", { mode = mode })
  os.rename(path .. ".new", path)
end

local function find(rows, name)
  for _, row in ipairs(rows) do
    if row[1] == name then
      return row
    end
  end
  return nil
end

local function free_id(...)
  local used = {}
  for _, rows in ipairs({ ... }) do
    for _, row in ipairs(rows) do
      used[tonumber(row[3]) or -1] = true
    end
  end
  local id = FIRST_ID
  while used[id] do
    id = id + 1
  end
  return id
end

local function ensure_group(name, id)
  local groups = load("/etc/group")
  if not find(groups, name) then
    groups[#groups + 1] = { name, "x", tostring(id or free_id(groups)), "" }
    store("/etc/group", groups, "644")
  end
end

local function join(user, group)
  ensure_group(group)
  local groups = load("/etc/group")
  local row = find(groups, group)
  if not ("," .. row[4] .. ","):find("," .. user .. ",", 1, true) then
    row[4] = row[4] == "" and user or row[4] .. "," .. user
    store("/etc/group", groups, "644")
  end
end

-- Replaces the password field; `hash` is in crypt's format.
local function set_hash(user, hash)
  local shadow = load("/etc/shadow")
  local row = find(shadow, user)
  if not row then
    row = { user, "!", "19000", "0", "99999", "7", "", "", "" }
    shadow[#shadow + 1] = row
  end
  row[2] = hash
  store("/etc/shadow", shadow, "600")
end

-- Hashes a password; it goes through a file that only root reads, never through an argument.
local function hash_of(password)
  system.write("/run/password", password, { mode = "600" })
  local pipe = io.popen("mkpasswd -m sha512 -P 0 </run/password 2>/dev/null")
  local hash = pipe:read("l")
  pipe:close()
  os.remove("/run/password")
  return hash
end

-- Adds keys that are not there yet.
function accounts.authorize(user, keys)
  local row = find(load("/etc/passwd"), user)
  if not row or #keys == 0 then
    return
  end
  local directory = row[6] .. "/.ssh"
  local path = directory .. "/authorized_keys"
  local text = system.read(path) or ""
  for _, key in ipairs(keys) do
    key = tostring(key):match("^%s*(.-)%s*$")
    if not ("\n" .. text):find("\n" .. key .. "\n", 1, true) then
      text = text .. key .. "\n"
    end
  end
  system.run("mkdir", "-p", directory)
  system.run("chmod", "700", directory)
  system.write(path, text, { mode = "600" })
  system.run("chown", "-R", row[3] .. ":" .. row[4], directory)
end

local function words(value)
  if seed.scalar(value) then
    local list = {}
    for word in tostring(value):gmatch("[^,%s]+") do
      list[#list + 1] = word
    end
    return list
  end
  return seed.list(value)
end

local function permit(user, rules)
  for _, rule in ipairs(seed.scalar(rules) and { rules } or seed.list(rules)) do
    if tostring(rule):find("NOPASSWD", 1, true) then
      local line = "permit nopass keepenv " .. user .. "\n"
      local text = system.read("/etc/doas.conf") or ""
      if not text:find(line, 1, true) then
        system.write("/etc/doas.conf", text .. line, { mode = "600" })
      end
      return
    elseif rule ~= false then
      system.say("ignored sudo of %s: only NOPASSWD rules are known", user)
    end
  end
end

local function ensure_user(user)
  local name = tostring(user.name)
  local passwd = load("/etc/passwd")
  local row = find(passwd, name)
  local shell = seed.scalar(user.shell) or "/bin/bash"
  if not system.read(shell) then
    shell = "/bin/sh"
  end
  if row then
    row[7] = seed.scalar(user.shell) and shell or row[7]
  else
    local id = seed.scalar(user.uid) and math.floor(tonumber(user.uid)) or free_id(passwd, load("/etc/group"))
    ensure_group(name, id)
    local group = find(load("/etc/group"), seed.scalar(user.primary_group) or name)
    local home = seed.scalar(user.homedir) or "/home/" .. name
    row = { name, "x", tostring(id), group and group[3] or tostring(id), seed.scalar(user.gecos) or "", home, shell }
    passwd[#passwd + 1] = row
    if user.no_create_home ~= true then
      system.run("mkdir", "-p", home)
      system.run("chmod", "755", home)
      system.run("chown", row[3] .. ":" .. row[4], home)
    end
    set_hash(name, "!")
  end
  store("/etc/passwd", passwd, "644")

  for _, group in ipairs(words(user.groups)) do
    join(name, group)
  end
  local hash = seed.scalar(user.hashed_passwd) or seed.scalar(user.passwd)
  if seed.scalar(user.plain_text_passwd) then
    hash = hash_of(tostring(user.plain_text_passwd))
  end
  -- As in cloud-init a password is unusable unless the account is said to be unlocked.
  if hash then
    set_hash(name, user.lock_passwd == false and hash or "!" .. hash)
  end
  permit(name, user.sudo)
  local keys = {}
  for _, field in ipairs({ "ssh_authorized_keys", "ssh-authorized-keys" }) do
    for _, key in ipairs(seed.list(user[field])) do
      keys[#keys + 1] = key
    end
  end
  accounts.authorize(name, keys)
end

-- The user that top-level keys belong to when the configuration names none.
local DEFAULT = { name = "freehold", groups = "sudo", sudo = "ALL=(ALL) NOPASSWD:ALL" }

local function change_passwords(config)
  local changes = {}
  for _, user in ipairs(seed.list(config.users)) do
    changes[#changes + 1] = { user.name, seed.scalar(user.password), user.type }
  end
  local text = seed.scalar(config.list)
  for line in (text and tostring(text) or table.concat(seed.list(config.list), "\n")):gmatch("[^\n]+") do
    local name, password = line:match("^([^:]+):(.+)$")
    if name then
      changes[#changes + 1] = { name, password, password:match("^%$%w+%$") and "hash" or "text" }
    end
  end
  for _, change in ipairs(changes) do
    local name, password, kind = table.unpack(change)
    if password and find(load("/etc/passwd"), name) then
      set_hash(name, kind == "hash" and tostring(password) or hash_of(tostring(password)))
    else
      system.say("ignored chpasswd of %s: no such user, or no password", tostring(name))
    end
  end
end

-- Makes groups and users, then passwords and keys.
function accounts.apply(config)
  for _, group in ipairs(words(config.groups)) do
    if type(group) == "table" then
      for name, members in pairs(group) do
        ensure_group(name)
        for _, member in ipairs(words(members)) do
          join(member, name)
        end
      end
    else
      ensure_group(group)
    end
  end
  local first
  for _, user in ipairs(config.users == nil and { "default" } or seed.list(config.users)) do
    if user == "default" then
      user = DEFAULT
    elseif seed.scalar(user) then
      user = { name = user }
    end
    if seed.scalar(user.name) then
      ensure_user(user)
      first = first or tostring(user.name)
    end
  end
  if seed.scalar(config.password) and first then
    set_hash(first, hash_of(tostring(config.password)))
  end
  change_passwords(seed.list(config.chpasswd))
  local keys = seed.list(config.ssh_authorized_keys)
  if first then
    accounts.authorize(first, keys)
  end
  accounts.authorize("root", keys)
end

return accounts
