-- What the other parts need of the machine: files, commands, the console.
local system = {}

-- Quotes a text for the shell.
function system.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

-- Runs a program with arguments; returns whether it succeeded.
function system.run(...)
  local words = {}
  for _, word in ipairs({ ... }) do
    words[#words + 1] = system.quote(word)
  end
  return os.execute(table.concat(words, " ") .. " >>/var/log/freehold.log 2>&1") == true
end

-- Reads a whole file; nil when it cannot be read.
function system.read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("a")
  file:close()
  return text
end

-- Reads one line of a file (sysfs, markers); nil when it cannot be read.
function system.line(path)
  local text = system.read(path)
  return text and text:match("^[^\n]*")
end

-- Writes a file with everything it needs: parents, permissions (octal text), owner. Replaces it whole, unless appending.
function system.write(path, text, options)
  options = options or {}
  local parent = path:match("^(.*)/[^/]*$")
  if parent and parent ~= "" then
    system.run("mkdir", "-p", parent)
  end
  local file, reason = io.open(path, options.append and "ab" or "wb")
  if not file then
    system.say("failed write %s: %s", path, reason)
    return false
  end
  file:close()
  -- Before the content, so that a secret is never readable in between.
  if options.mode then
    system.run("chmod", options.mode, path)
  end
  if options.owner then
    system.run("chown", options.owner, path)
  end
  file = io.open(path, options.append and "ab" or "wb")
  file:write(text)
  file:close()
  return true
end

-- Lists the names in a directory, sorted.
function system.list(path)
  local names = {}
  local pipe = io.popen("ls -1 " .. system.quote(path) .. " 2>/dev/null")
  for name in pipe:lines() do
    names[#names + 1] = name
  end
  pipe:close()
  return names
end

-- Says a line on the console, where the host watches for it, and in the log.
function system.say(format, ...)
  local line = "FREEHOLD " .. string.format(format, ...) .. "\n"
  for _, path in ipairs({ "/dev/console", "/var/log/freehold.log" }) do
    local file = io.open(path, "a")
    if file then
      file:write(line)
      file:close()
    end
  end
end

return system
