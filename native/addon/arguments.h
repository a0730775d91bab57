// Reads JavaScript values into C++ ones, refusing what is not exactly of the type: the second of the two bounds checks.
#ifndef KVSEAM_ADDON_ARGUMENTS_H_
#define KVSEAM_ADDON_ARGUMENTS_H_

#include <napi.h>

#include <cstdint>
#include <string>

#include "errors.h"

namespace kvseam::addon {

inline constexpr double kMaxExactInteger = 9007199254740991.0;  // 2^53 - 1

/** For the hot path: true for whole numbers from 0 to 2^53 - 1. */
inline bool isWhole(double number) {
  return number >= 0 && number <= kMaxExactInteger && number == static_cast<double>(static_cast<int64_t>(number));
}

/** As the number of an object: one too large for its table finds nothing, instead of another object by its low bits. */
inline uint32_t asIndex(uint64_t number) { return number > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(number); }

/** A whole number from 0 to 2^53 - 1; anything else, NaN and strings included, is refused with the argument's name. */
inline bool readWhole(Instance* instance, const Napi::Value& value, const char* name, uint64_t* out) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (isWhole(number)) {
      *out = static_cast<uint64_t>(number);
      return true;
    }
  }
  throwArgument(instance, std::string(name) + " must be a whole number from 0 to 2^53 - 1");
  return false;
}

inline bool readText(Instance* instance, const Napi::Value& value, const char* name, std::string* out) {
  if (!value.IsString()) {
    throwArgument(instance, std::string(name) + " must be a string");
    return false;
  }
  *out = value.As<Napi::String>().Utf8Value();
  return true;
}

/** Bytes of a Uint8Array; valid during the call only. */
inline bool readBytes(Instance* instance, const Napi::Value& value, const char* name, const uint8_t** data,
                      size_t* bytes) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throwArgument(instance, std::string(name) + " must be a Uint8Array");
    return false;
  }
  const auto array = value.As<Napi::Uint8Array>();
  *data = array.Data();
  *bytes = array.ByteLength();
  return true;
}

}  // namespace kvseam::addon
#endif  // KVSEAM_ADDON_ARGUMENTS_H_
