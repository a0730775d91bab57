// Fault plans: parsed and armed here, obeyed by the agents they are armed on, reported back with their firings.
#include <sys/random.h>

#include <string>
#include <utility>

#include "../core/clock.h"
#include "../core/fault_names.h"
#include "arguments.h"
#include "functions.h"

namespace kvseam::addon {

namespace {

Napi::Object syntaxError(Napi::Env env, const FaultSyntaxError& error) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("line", error.line);
  out.Set("column", error.column);
  out.Set("message", error.message);
  out.Set("source", error.source);
  out.Set("caret", error.caret);
  return out;
}

uint64_t ownSeed() {
  uint32_t seed = 0;  // short enough to be typed again
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) seed = static_cast<uint32_t>(nowNs());
  return seed;
}

// (text) => { plan, seed, seedGiven, kills } or { error: { line, column, message, source, caret } }
Napi::Value makeFaultPlan(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  std::string text;
  if (!readText(instance, info[0], "faults", &text)) return env.Undefined();
  Napi::Object out = Napi::Object::New(env);
  FaultSpec spec;
  FaultSyntaxError error;
  if (!FaultSpec::parse(text, &spec, &error)) {
    out.Set("error", syntaxError(env, error));
    return out;
  }
  const uint64_t seed = spec.hasSeed ? spec.seed : ownSeed();
  out.Set("seed", std::to_string(seed));
  out.Set("seedGiven", Napi::Boolean::New(env, spec.hasSeed));
  out.Set("kills", Napi::Boolean::New(env, spec.uses(FaultActionKind::kKill)));
  auto entry = std::make_shared<FaultEntry>(std::make_shared<FaultPlan>(std::move(spec), seed, nowNs()));
  out.Set("plan", static_cast<double>(instance->faults().add(std::move(entry))));
  return out;
}

FaultEntry* entryOf(Instance* instance, const Napi::Value& handle) {
  const auto* const found =
      instance->faults().find(handle.IsNumber() ? static_cast<uint64_t>(handle.As<Napi::Number>().Int64Value()) : 0);
  if (found != nullptr) return found->get();
  throwStatus(instance, Status::local(KVSEAM_CLOSED, "these faults are disarmed"));
  return nullptr;
}

// (name of a workload class) => the number by which permits carry it
Napi::Value workloadNumber(const Napi::CallbackInfo& info) {
  std::string name;
  if (!readText(instanceOf(info), info[0], "class", &name)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), FaultJudge::classHash(name));
}

// (agent, plan, allowReal)
Napi::Value armFaults(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const agent = instance->agent(info[0]);
  const FaultEntry* const faults = agent == nullptr ? nullptr : entryOf(instance, info[1]);
  if (faults == nullptr) return info.Env().Undefined();
  const Status status = agent->agent->armFaults(faults->plan, info[2].ToBoolean());
  if (!status.ok()) throwStatus(instance, status);
  return info.Env().Undefined();
}

// (plan): nothing fires any more, whatever it holds is let go
Napi::Value retireFaults(const Napi::CallbackInfo& info) {
  const FaultEntry* const faults = entryOf(instanceOf(info), info[0]);
  if (faults != nullptr) faults->plan->retire();
  return info.Env().Undefined();
}

// (agent, plan)
Napi::Value disarmFaults(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const AgentEntry* const agent = instance->agent(info[0]);
  const FaultEntry* const faults = agent == nullptr ? nullptr : entryOf(instance, info[1]);
  if (faults == nullptr) return info.Env().Undefined();
  const Status status = agent->agent->disarmFaults(faults->plan);
  if (!status.ok()) throwStatus(instance, status);
  return info.Env().Undefined();
}

Napi::Value freeFaults(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  uint64_t handle = 0;
  if (readWhole(instance, info[0], "plan", &handle)) instance->faults().remove(handle);
  return info.Env().Undefined();
}

// (plan, rule from 1) => whether there is such a rule; nudge the agents afterwards
Napi::Value resumeFaults(const Napi::CallbackInfo& info) {
  Instance* const instance = instanceOf(info);
  const FaultEntry* const faults = entryOf(instance, info[0]);
  uint64_t rule = 0;
  if (faults == nullptr || !readWhole(instance, info[1], "rule", &rule)) return info.Env().Undefined();
  const bool known = rule >= 1 && rule <= faults->plan->rules().size();
  if (known) faults->plan->resume(static_cast<uint32_t>(rule - 1));
  return Napi::Boolean::New(info.Env(), known);
}

Napi::Value nudge(const Napi::CallbackInfo& info) {
  const AgentEntry* const entry = instanceOf(info)->agent(info[0]);
  if (entry != nullptr) entry->agent->progress().nudge();
  return info.Env().Undefined();
}

// (plan) => { lost, rules: [{ text, line, column, known, matched, fired, paused }] }
Napi::Value faultReport(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const FaultEntry* const faults = entryOf(instanceOf(info), info[0]);
  if (faults == nullptr) return env.Undefined();
  FaultPlan& plan = *faults->plan;
  Napi::Array rules = Napi::Array::New(env, plan.rules().size());
  for (uint32_t i = 0; i < plan.rules().size(); ++i) {
    const FaultRule& rule = plan.rules()[i];
    const FaultRuleCounters& counters = plan.counters(i);
    Napi::Object item = Napi::Object::New(env);
    item.Set("text", rule.text);
    item.Set("line", rule.line);
    item.Set("column", rule.column);
    item.Set("known", Napi::Boolean::New(env, counters.known));
    item.Set("matched", static_cast<double>(counters.matched));
    item.Set("fired", static_cast<double>(counters.fired));
    item.Set("paused", static_cast<double>(counters.paused));
    rules.Set(i, item);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("lost", static_cast<double>(plan.lostFirings()));
  out.Set("rules", rules);
  return out;
}

// (plan, most) => [{ rule, step, path, op, seq, action, value }], oldest first
Napi::Value takeFirings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  const FaultEntry* const faults = entryOf(instance, info[0]);
  uint64_t most = 0;
  if (faults == nullptr || !readWhole(instance, info[1], "most", &most)) return env.Undefined();
  const std::vector<FaultFiring> firings = faults->plan->takeFirings(most);
  Napi::Array out = Napi::Array::New(env, firings.size());
  for (uint32_t i = 0; i < firings.size(); ++i) {
    const Napi::HandleScope scope(env);
    const FaultFiring& firing = firings[i];
    Napi::Object item = Napi::Object::New(env);
    item.Set("rule", firing.rule);
    item.Set("step", firing.step);
    item.Set("path", firing.path);
    item.Set("op", nameOf(firing.op));
    item.Set("seq", static_cast<double>(firing.seq));
    item.Set("action", wordOf(firing.action).name);
    item.Set("value", static_cast<double>(firing.value));
    out.Set(i, item);
  }
  return out;
}

// (plan, op, pathId, bytes, class) => null, or { delayNs, blockNs, lateNs, outcome: action or null, error?: Error }
Napi::Value checkFaults(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Instance* const instance = instanceOf(info);
  FaultEntry* const faults = entryOf(instance, info[0]);
  std::string opName;
  std::string path;
  std::string workloadClass;
  uint64_t bytes = 0;
  if (faults == nullptr || !readText(instance, info[1], "op", &opName) || !readText(instance, info[2], "path", &path) ||
      !readWhole(instance, info[3], "bytes", &bytes) || !readText(instance, info[4], "class", &workloadClass)) {
    return env.Undefined();
  }
  FaultOp op{};
  if (!findOp(opName, &op) || (op != FaultOp::op_probe && op != FaultOp::op_release)) {
    throwArgument(instance, "op must be 'probe' or 'release'; the others are checked where they happen");
    return env.Undefined();
  }
  FaultVerdict verdict;
  faults->judge.judge({faults->subjects.intern(subjectOfPathId(path)), op, bytes, workloadClass}, nowNs(), &verdict);
  if (!verdict.any) return env.Null();
  if (verdict.kill) killProcess();
  Napi::Object out = Napi::Object::New(env);
  out.Set("delayNs", static_cast<double>(verdict.delayNs));
  out.Set("blockNs", static_cast<double>(verdict.blockNs));
  out.Set("lateNs", static_cast<double>(verdict.lateNs));
  out.Set("outcome",
          verdict.terminal == nullptr ? env.Null() : Napi::String::New(env, wordOf(verdict.terminal->kind).name));
  if (verdict.terminal != nullptr && verdict.terminal->kind == FaultActionKind::kError) {
    const FaultError& error = verdict.terminal->error;
    out.Set("error", errorOf(instance, Status(static_cast<Code>(error.code), static_cast<Blame>(error.blame),
                                              "injected fault: " + opName, error.backendCode)));
  }
  return out;
}

}  // namespace

void addFaultFunctions(Napi::Object exports, Instance* instance) {
  addFunction<makeFaultPlan>(exports, instance, "makeFaultPlan");
  addFunction<workloadNumber>(exports, instance, "workloadNumber");
  addFunction<armFaults>(exports, instance, "armFaults");
  addFunction<retireFaults>(exports, instance, "retireFaults");
  addFunction<disarmFaults>(exports, instance, "disarmFaults");
  addFunction<freeFaults>(exports, instance, "freeFaults");
  addFunction<resumeFaults>(exports, instance, "resumeFaults");
  addFunction<nudge>(exports, instance, "nudge");
  addFunction<faultReport>(exports, instance, "faultReport");
  addFunction<takeFirings>(exports, instance, "takeFirings");
  addFunction<checkFaults>(exports, instance, "checkFaults");
}

}  // namespace kvseam::addon
