// Status to error.
#include "errors.h"

#include "instance.h"

namespace kvseam::addon {

Napi::Value errorOf(Instance* instance, const Status& status) {
  const Napi::Env env(instance->env());
  const std::string text = status.text().empty() ? codeName(status.code()) : status.text();
  if (instance->errorFactory().IsEmpty()) {
    Napi::Error error = Napi::Error::New(env, text);
    error.Set("code", Napi::String::New(env, codeName(status.code())));
    return error.Value();
  }
  return instance->errorFactory().Call({Napi::String::New(env, codeName(status.code())), Napi::String::New(env, text),
                                        Napi::String::New(env, blameName(status.blame())),
                                        Napi::Number::New(env, static_cast<double>(status.backendCode()))});
}

void throwStatus(Instance* instance, const Status& status) {
  const Napi::HandleScope scope(instance->env());
  const Napi::Value error = errorOf(instance, status);
  if (!Napi::Env(instance->env()).IsExceptionPending()) napi_throw(instance->env(), error);
}

void throwArgument(Instance* instance, const std::string& what) {
  throwStatus(instance, Status::local(KVSEAM_INVALID_ARGUMENT, what));
}

}  // namespace kvseam::addon
