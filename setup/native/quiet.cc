// TensorFlow logs "oneDNN custom operations are on" while its library is being loaded, before it reads any of its
// settings. This object is linked with -z initfirst, so that it runs first and lowers the log level of the
// library's logger to what TF_CPP_MIN_LOG_LEVEL asks for.
#include <cstdlib>

#include "absl/base/log_severity.h"
#include "absl/log/globals.h"

namespace {

const bool applied = [] {
  const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL");
  if (level != nullptr) {
    absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(std::atoi(level)));
  }
  return true;
}();

}  // namespace
