-- Applies a NoCloud network-config of version 2: `ethernets` with static addresses, routes, name servers and DHCP.
local seed = require("seed")
local system = require("system")

local network = {}

local function cards()
  local found = {}
  for _, name in ipairs(system.list("/sys/class/net")) do
    -- Only real cards have a device; bridges, tunnels and the loopback have none.
    if system.line("/sys/class/net/" .. name .. "/address") and os.execute("[ -e /sys/class/net/" .. name .. "/device ]") then
      found[#found + 1] = { name = name, mac = system.line("/sys/class/net/" .. name .. "/address"):lower() }
    end
  end
  return found
end

local function matches(card, id, match)
  local mac, name = seed.scalar(match.macaddress), seed.scalar(match.name)
  if mac and mac:lower() ~= card.mac then
    return false
  end
  if name then
    local pattern = "^" .. name:gsub("[%^%$%(%)%%%.%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
    return card.name:match(pattern) ~= nil
  end
  return mac ~= nil or card.name == id
end

local function dhcp(card)
  -- Asks three times, a second each, then goes on in the background.
  system.run("udhcpc", "-b", "-S", "-t", "3", "-T", "1", "-A", "5", "-i", card.name, "-p",
    "/run/udhcpc." .. card.name, "-s", "/usr/lib/freehold/lease", "-x", "hostname:" .. system.line("/etc/hostname"))
end

local function add_route(card, route)
  local to, via = seed.scalar(route.to), seed.scalar(route.via)
  local words = { "ip" }
  if (to or ""):find(":", 1, true) or (via or ""):find(":", 1, true) then
    words[#words + 1] = "-6"
  end
  for _, word in ipairs({ "route", "replace", (to == "0.0.0.0/0" or to == "::/0") and "default" or to or "default" }) do
    words[#words + 1] = word
  end
  if via then
    words[#words + 1] = "via"
    words[#words + 1] = via
  end
  words[#words + 1] = "dev"
  words[#words + 1] = card.name
  if route["on-link"] == true then
    words[#words + 1] = "onlink"
  end
  if seed.scalar(route.metric) then
    words[#words + 1] = "metric"
    words[#words + 1] = tostring(math.floor(route.metric))
  end
  if not system.run(table.unpack(words)) then
    system.say("failed route %s via %s dev %s", to or "default", via or "-", card.name)
  end
end

local function configure(card, config, resolver)
  local wanted = seed.scalar(config["set-name"])
  system.run("ip", "link", "set", "dev", card.name, "down")
  if wanted and wanted ~= card.name and system.run("ip", "link", "set", "dev", card.name, "name", wanted) then
    card.name = wanted
  end
  if seed.scalar(config.mtu) then
    system.run("ip", "link", "set", "dev", card.name, "mtu", math.floor(config.mtu))
  end
  -- Before the card is up, which is when the kernel acts on them.
  local ipv6 = "/proc/sys/net/ipv6/conf/" .. card.name .. "/"
  if config["accept-ra"] == false then
    system.write(ipv6 .. "accept_ra", "0")
  end
  if type(config["link-local"]) == "table" and next(config["link-local"]) == nil then
    system.write(ipv6 .. "addr_gen_mode", "1")
  end
  system.run("ip", "link", "set", "dev", card.name, "up")

  local addresses = {}
  for _, address in ipairs(seed.list(config.addresses)) do
    -- Netplan also takes a map of one address to its options.
    address = seed.scalar(address) or next(address)
    addresses[#addresses + 1] = address
    system.run("ip", "addr", "add", address, "dev", card.name)
  end
  for _, key in ipairs({ "gateway4", "gateway6" }) do
    if seed.scalar(config[key]) then
      add_route(card, { to = key == "gateway6" and "::/0" or "default", via = config[key] })
    end
  end
  for _, route in ipairs(seed.list(config.routes)) do
    add_route(card, route)
  end
  local nameservers = seed.list(config.nameservers)
  for _, server in ipairs(seed.list(nameservers.addresses)) do
    resolver.servers[#resolver.servers + 1] = server
  end
  for _, domain in ipairs(seed.list(nameservers.search)) do
    resolver.search[#resolver.search + 1] = domain
  end
  if #addresses > 0 or config.dhcp4 ~= true then
    system.say("nic %s %s %s", card.name, card.mac, #addresses > 0 and table.concat(addresses, ",") or "-")
  end
  if config.dhcp4 == true then
    dhcp(card)
  end
end

local function write_resolver(resolver)
  local lines = {}
  if #resolver.search > 0 then
    lines[1] = "search " .. table.concat(resolver.search, " ")
  end
  for _, server in ipairs(resolver.servers) do
    lines[#lines + 1] = "nameserver " .. server
  end
  if #lines > 0 then
    system.write("/etc/resolv.conf", table.concat(lines, "\n") .. "\n")
  end
end

-- Applies the configuration; without one every card asks by DHCP.
function network.apply(config)
  local all = cards()
  if not config then
    for _, card in ipairs(all) do
      system.run("ip", "link", "set", "dev", card.name, "up")
      dhcp(card)
    end
    return
  end
  if config.version ~= 2 then
    system.say("failed network-config: version 2 is needed, not %s", tostring(config.version))
    return
  end
  for key in pairs(config) do
    if key ~= "version" and key ~= "ethernets" and key ~= "renderer" then
      system.say("ignored network-config %s", key)
    end
  end
  local ids = {}
  for id in pairs(seed.list(config.ethernets)) do
    ids[#ids + 1] = id
  end
  table.sort(ids)
  -- Who is who is settled before the first rename, which may take another card's name.
  local chosen = {}
  for _, id in ipairs(ids) do
    for _, card in ipairs(all) do
      if not card.taken and matches(card, id, seed.list(config.ethernets[id].match)) then
        card.taken = true
        chosen[#chosen + 1] = { card = card, config = config.ethernets[id] }
        break
      end
    end
  end
  for index, one in ipairs(chosen) do
    local wanted = seed.scalar(one.config["set-name"])
    if wanted and wanted ~= one.card.name then
      system.run("ip", "link", "set", "dev", one.card.name, "down")
      if system.run("ip", "link", "set", "dev", one.card.name, "name", "rename" .. index) then
        one.card.name = "rename" .. index
      end
    end
  end
  local resolver = { servers = {}, search = {} }
  for _, one in ipairs(chosen) do
    configure(one.card, one.config, resolver)
  end
  write_resolver(resolver)
end

return network
