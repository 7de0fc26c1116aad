-- Health of a QwenDeployment, as kstatus reads it: generation, Reconciling, Stalled, then Ready.
local hs = {status = "Progressing", message = "the operator has not looked at it yet"}
local status = obj.status or {}

if (status.observedGeneration or -1) < (obj.metadata.generation or 0) then
  return hs
end

local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end

local function is_true(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

local function say(health, condition)
  return {status = health, message = condition.reason .. ": " .. condition.message}
end

if is_true("Reconciling") then
  return say("Progressing", found["Reconciling"])
end
if is_true("Stalled") then
  return say("Degraded", found["Stalled"])
end
if is_true("Ready") then
  if found["Ready"].reason == "Suspended" then
    return say("Suspended", found["Ready"])
  end
  return say("Healthy", found["Ready"])
end
if found["Ready"] ~= nil then
  return say("Progressing", found["Ready"])
end
return hs
