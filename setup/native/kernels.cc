// Operations of a vision transformer's forward pass that TensorFlow has only as chains of others: attention whose
// score matrices never leave the cache, and the passes around the linear layers, each fused into one.
//
// They are registered with TensorFlow through its C interface when this object is loaded. Where they are missing, or
// do not support a shape, lib/layers computes the same with plain operations, against which they are also tested.
// Each is compiled for several instruction sets (vector_kernels.inc), and the best one that the processor has is used.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace {

// ---------------------------------------------------------------------------------------------------- threads

// While this object lives, denormal numbers count as zero on every thread: otherwise that would depend on each
// thread, and results must not depend on which thread computes what. Denormals would also be slow.
class FlushSmall {
 public:
#if defined(__x86_64__)
  FlushSmall() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(before_ | 0x8040); }
  ~FlushSmall() { __builtin_ia32_ldmxcsr(before_); }

 private:
  const unsigned before_;
#elif defined(__aarch64__)
  FlushSmall() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | uint64_t{1} << 24) : "memory");
  }
  ~FlushSmall() { asm volatile("msr fpcr, %0" : : "r"(before_) : "memory"); }

 private:
  uint64_t before_;
#else
  FlushSmall() {}
  ~FlushSmall() {}
#endif
};

// Helper threads that wait for work and are never ended: they outlive anything unloaded at the end of the process.
class Workers {
 public:
  // Runs body(0) to body(count - 1), on at most `threads` threads with the calling one, and waits for all.
  // Returns false if memory ran out and not all of them were run.
  bool Run(int64_t count, int threads, const std::function<void(int64_t)>& body) {
    std::lock_guard<std::mutex> one_at_a_time(run_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const int helpers = Started(static_cast<int>(std::min<int64_t>(threads, count)) - 1);
      body_ = &body;
      count_ = count;
      next_ = 0;
      failed_ = false;
      wanted_ = helpers;
      busy_ = helpers;
      if (helpers > 0) round_++;
    }
    if (wanted_ > 0) wake_.notify_all();
    Work(body, count);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    return !failed_;
  }

 private:
  // How many of the requested helpers there are: fewer if the system provides no more threads.
  int Started(int wanted) {
    while (started_ < wanted) {
      try {
        std::thread([this, place = started_] { Serve(place); }).detach();
      } catch (const std::exception&) {
        return started_;
      }
      started_++;
    }
    return std::max(wanted, 0);
  }

  void Work(const std::function<void(int64_t)>& body, int64_t count) {
    const FlushSmall flush;
    try {
      for (int64_t index = next_++; index < count && !failed_; index = next_++) body(index);
    } catch (const std::bad_alloc&) {
      failed_ = true;
    }
  }

  void Serve(int place) {
    uint64_t seen = 0;
    for (;;) {
      const std::function<void(int64_t)>* body = nullptr;
      int64_t count = 0;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen && place < wanted_; });
        seen = round_;
        body = body_;
        count = count_;
      }
      Work(*body, count);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex run_, mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* body_ = nullptr;
  int64_t count_ = 0;
  int started_ = 0, wanted_ = 0, busy_ = 0;
  uint64_t round_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<bool> failed_{false};
};

Workers& workers() {
  static Workers* const all = new Workers();
  return *all;
}

// ---------------------------------------------------------------------------------------------------- arithmetic

// Inputs and output of attention. Tokens of `joined` are [queries | keys | values], heads side by side in each.
struct Attention {
  const float* joined;  // [B, N, 3D]
  const float* bias;    // [3D]
  float* out;           // [B, rows, D]
  int64_t batch, tokens, width, heads, rows;
  int correlations;
};

// Bits of `correlations`: which matrices' softmaxes are added before they weigh the values.
constexpr int kQueriesKeys = 1, kQueriesQueries = 2, kKeysKeys = 4, kValuesValues = 8;

// Rows of scores computed at once, and tokens in a panel of the right factor.
constexpr int kBlock = 24, kPanel = 32;

// Memory aligned to a cache line.
class Buffer {
 public:
  explicit Buffer(size_t floats) : data_(static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* get() const { return data_; }

 private:
  float* data_;
};

// Widths are multiples of this, so that rows are whole vectors of every instruction set.
constexpr int kChannels = 16;

#if defined(__x86_64__)
#define CRANE_VECTORS avx512
#define CRANE_WIDE 16
#define CRANE_SCORE_ROWS 12
#define CRANE_SCORE_VECTORS 2
#define CRANE_VALUE_ROWS 6
#define CRANE_VALUE_VECTORS 4
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
#include "vector_kernels.inc"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef CRANE_VECTORS
#undef CRANE_WIDE
#undef CRANE_SCORE_ROWS
#undef CRANE_SCORE_VECTORS
#undef CRANE_VALUE_ROWS
#undef CRANE_VALUE_VECTORS

// Twelve sums, two columns and one number of the left side fit in sixteen registers.
#define CRANE_VECTORS avx2
#define CRANE_WIDE 8
#define CRANE_SCORE_ROWS 6
#define CRANE_SCORE_VECTORS 2
#define CRANE_VALUE_ROWS 6
#define CRANE_VALUE_VECTORS 2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "vector_kernels.inc"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef CRANE_VECTORS
#undef CRANE_WIDE
#undef CRANE_SCORE_ROWS
#undef CRANE_SCORE_VECTORS
#undef CRANE_VALUE_ROWS
#undef CRANE_VALUE_VECTORS

enum class Instructions { kNone, kAvx2, kAvx512 };

Instructions instructions() {
  static const Instructions best = [] {
    __builtin_cpu_init();
    const char* limit = std::getenv("CRANE_NATIVE_VECTORS");
    const bool wide = limit == nullptr || std::strcmp(limit, "avx2") != 0;
    if (wide && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
      return Instructions::kAvx512;
    }
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Instructions::kAvx2 : Instructions::kNone;
  }();
  return best;
}

#define CRANE_DISPATCH(call) (instructions() == Instructions::kAvx512 ? avx512::call : avx2::call)
bool supported() { return instructions() != Instructions::kNone; }

#else
// NEON has thirty-two registers of four floats.
#define CRANE_VECTORS plain
#define CRANE_WIDE 4
#define CRANE_SCORE_ROWS 6
#define CRANE_SCORE_VECTORS 4
#define CRANE_VALUE_ROWS 6
#define CRANE_VALUE_VECTORS 4
#include "vector_kernels.inc"
#define CRANE_DISPATCH(call) plain::call
bool supported() { return true; }
#endif

// ---------------------------------------------------------------------------------------------------- operations

// A status passed to TensorFlow on errors.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    for (TF_Tensor* tensor : held_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }

  TF_Tensor* Input(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    if (tensor != nullptr) held_.push_back(tensor);
    return Ok() ? tensor : nullptr;
  }

  float* Output(int index, const std::vector<int64_t>& shape) {
    size_t bytes = sizeof(float);
    for (int64_t size : shape) bytes *= size;
    TF_Tensor* tensor = TF_AllocateOutput(context_, index, TF_FLOAT, shape.data(), static_cast<int>(shape.size()), bytes, status_);
    if (tensor != nullptr) held_.push_back(tensor);
    return Ok() ? static_cast<float*>(TF_TensorData(tensor)) : nullptr;
  }

  bool Require(bool condition, const char* message, TF_Code code = TF_INVALID_ARGUMENT) {
    if (condition || !Ok()) return Ok();
    TF_SetStatus(status_, code, message);
    return Ok();
  }

  bool Ok() {
    if (TF_GetCode(status_) == TF_OK) return true;
    if (!reported_) TF_OpKernelContext_Failure(context_, status_);
    reported_ = true;
    return false;
  }

 private:
  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> held_;
  bool reported_ = false;
};

const float* Floats(TF_Tensor* tensor) { return static_cast<const float*>(TF_TensorData(tensor)); }

bool EndsWith(TF_Tensor* tensor, int64_t width) {
  const int axes = TF_NumDims(tensor);
  return axes > 0 && TF_Dim(tensor, axes - 1) == width;
}

std::vector<int64_t> ShapeOf(TF_Tensor* tensor) {
  std::vector<int64_t> shape(TF_NumDims(tensor));
  for (size_t axis = 0; axis < shape.size(); axis++) shape[axis] = TF_Dim(tensor, static_cast<int>(axis));
  return shape;
}

// More threads would only wait for each other.
constexpr int kMostThreads = 256;

// Attributes, all of them integers except epsilon; each operation has some of them.
struct Attributes {
  int heads = 1, correlations = 1, rows = 0, threads = 1;
  float epsilon = 0;
};

void* ReadAttributes(TF_OpKernelConstruction* construction) {
  auto* attributes = new Attributes();
  TF_Status* status = TF_NewStatus();
  const auto read = [&](const char* name, int* value) {
    if (!TF_OpKernelConstruction_HasAttr(construction, name, status)) return;
    int32_t found = 0;
    TF_OpKernelConstruction_GetAttrInt32(construction, name, &found, status);
    if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
    *value = found;
  };
  read("heads", &attributes->heads);
  read("correlations", &attributes->correlations);
  read("rows", &attributes->rows);
  read("threads", &attributes->threads);
  attributes->threads = std::min(attributes->threads, kMostThreads);
  if (TF_OpKernelConstruction_HasAttr(construction, "epsilon", status)) {
    TF_OpKernelConstruction_GetAttrFloat(construction, "epsilon", &attributes->epsilon, status);
    if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
  }
  TF_DeleteStatus(status);
  return attributes;
}

void DeleteAttributes(void* attributes) { delete static_cast<Attributes*>(attributes); }

// CraneAttention: (sum over the correlations of softmax(a bᵀ / √d)) v for each head, heads joined again.
void ComputeAttention(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Call call(context);
  TF_Tensor* joined = call.Input(0);
  TF_Tensor* bias = call.Input(1);
  if (joined == nullptr || bias == nullptr) return;
  const std::vector<int64_t> shape = ShapeOf(joined);
  const int64_t heads = attributes.heads;
  if (!call.Require(supported(), "no vector instructions for CraneAttention") ||
      !call.Require(shape.size() == 3 && shape[2] % 3 == 0 && shape[1] > 0, "CraneAttention: expected joined projections [B, N, 3D]") ||
      !call.Require(heads > 0 && shape[2] > 0 && (shape[2] / 3) % heads == 0 && (shape[2] / 3 / heads) % kChannels == 0, "CraneAttention: heads must have multiples of 16 channels") ||
      !call.Require(TF_TensorElementCount(bias) == shape[2], "CraneAttention: expected a bias [3D]") ||
      !call.Require(attributes.correlations > 0 && attributes.correlations < 16, "CraneAttention: unknown correlations") ||
      !call.Require(attributes.rows > 0 && attributes.rows <= shape[1], "CraneAttention: rows must be among the tokens")) {
    return;
  }
  float* out = call.Output(0, {shape[0], attributes.rows, shape[2] / 3});
  if (out == nullptr) return;
  const Attention attention{Floats(joined), Floats(bias), out, shape[0], shape[1], shape[2] / 3, heads, attributes.rows, attributes.correlations};
  // A head is cut into chunks of rows where there are too few heads to keep all threads busy to the end.
  const int64_t whole = attention.batch * heads;
  const int64_t wanted = attributes.threads > 1 ? (4 * attributes.threads + whole - 1) / std::max<int64_t>(whole, 1) : 1;
  const int64_t chunks = std::max<int64_t>(1, std::min<int64_t>(wanted, attention.rows / 96));
  const bool done = workers().Run(whole * chunks, attributes.threads, [&](int64_t task) {
    const int64_t head = task / chunks, chunk = task % chunks;
    const int64_t first = attention.rows * chunk / chunks, end = attention.rows * (chunk + 1) / chunks;
    CRANE_DISPATCH(AttendHead(attention, head / heads, head % heads, first, end));
  });
  call.Require(done, "CraneAttention: out of memory", TF_RESOURCE_EXHAUSTED);
}

// Runs `body` over pieces of `rows` rows.
void OverRows(int64_t rows, int threads, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(rows / 16, 4 * static_cast<int64_t>(threads)));
  workers().Run(pieces, threads, [&](int64_t piece) { body(rows * piece / pieces, rows * (piece + 1) / pieces); });
}

// CraneQuickGelu: v · sigmoid(1.702 v) of v = x + bias.
void ComputeQuickGelu(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Call call(context);
  TF_Tensor* x = call.Input(0);
  TF_Tensor* bias = call.Input(1);
  if (x == nullptr || bias == nullptr) return;
  const int64_t width = TF_TensorElementCount(bias);
  if (!call.Require(supported(), "no vector instructions for CraneQuickGelu") ||
      !call.Require(width > 0 && width % kChannels == 0 && EndsWith(x, width), "CraneQuickGelu: rows must have a multiple of 16 channels")) {
    return;
  }
  float* out = call.Output(0, ShapeOf(x));
  if (out == nullptr) return;
  OverRows(TF_TensorElementCount(x) / width, attributes.threads,
           [&](int64_t first, int64_t end) { CRANE_DISPATCH(QuickGeluRows(Floats(x), Floats(bias), out, width, first, end)); });
}

// CraneLayerNorm: gain · (x − mean) / √(variance + epsilon) + offset, over the last axis.
void ComputeLayerNorm(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Call call(context);
  TF_Tensor* x = call.Input(0);
  TF_Tensor* gain = call.Input(1);
  TF_Tensor* offset = call.Input(2);
  if (x == nullptr || gain == nullptr || offset == nullptr) return;
  const int64_t width = TF_TensorElementCount(gain);
  if (!call.Require(supported(), "no vector instructions for CraneLayerNorm") ||
      !call.Require(width > 0 && width % kChannels == 0 && TF_TensorElementCount(offset) == width && EndsWith(x, width), "CraneLayerNorm: rows must have a multiple of 16 channels")) {
    return;
  }
  float* out = call.Output(0, ShapeOf(x));
  if (out == nullptr) return;
  OverRows(TF_TensorElementCount(x) / width, attributes.threads, [&](int64_t first, int64_t end) {
    CRANE_DISPATCH(LayerNormRows(Floats(x), Floats(gain), Floats(offset), out, width, attributes.epsilon, first, end));
  });
}

// CraneAddResidual: x + bias + residual.
void ComputeAddResidual(void* kernel, TF_OpKernelContext* context) {
  const Attributes& attributes = *static_cast<Attributes*>(kernel);
  Call call(context);
  TF_Tensor* x = call.Input(0);
  TF_Tensor* bias = call.Input(1);
  TF_Tensor* residual = call.Input(2);
  if (x == nullptr || bias == nullptr || residual == nullptr) return;
  const int64_t width = TF_TensorElementCount(bias);
  if (!call.Require(supported(), "no vector instructions for CraneAddResidual") ||
      !call.Require(width > 0 && width % kChannels == 0 && EndsWith(x, width) && ShapeOf(residual) == ShapeOf(x),
                    "CraneAddResidual: rows must have a multiple of 16 channels, and the residual the same shape")) {
    return;
  }
  float* out = call.Output(0, ShapeOf(residual));
  if (out == nullptr) return;
  OverRows(TF_TensorElementCount(x) / width, attributes.threads, [&](int64_t first, int64_t end) {
    CRANE_DISPATCH(AddResidualRows(Floats(x), Floats(bias), Floats(residual), out, width, first, end));
  });
}

void UnknownShape(TF_ShapeInferenceContext* context, TF_Status* status) { TF_ShapeInferenceContextSetUnknownShape(context, status); }

void Register(const char* name, const std::vector<const char*>& inputs, const std::vector<const char*>& attributes,
              void (*compute)(void*, TF_OpKernelContext*)) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(name);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);
  TF_OpDefinitionBuilderAddOutput(definition, "out: float");
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, &UnknownShape);
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* builder = TF_NewKernelBuilder(name, "CPU", &ReadAttributes, compute, &DeleteAttributes);
    TF_RegisterKernelBuilder(name, builder, status);
  }
  TF_DeleteStatus(status);
}

// TensorFlow ends the process where an operation is registered twice, as when two checkouts are loaded into one.
bool IsRegistered(const char* name) {
  TF_Graph* graph = TF_NewGraph();
  TF_Buffer* definition = TF_NewBuffer();
  TF_Status* status = TF_NewStatus();
  TF_GraphGetOpDef(graph, name, definition, status);
  const bool found = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  TF_DeleteBuffer(definition);
  TF_DeleteGraph(graph);
  return found;
}

const bool registered = [] {
  if (IsRegistered("CraneAttention")) return false;
  Register("CraneAttention", {"joined: float", "bias: float"}, {"heads: int", "correlations: int", "rows: int", "threads: int"}, &ComputeAttention);
  Register("CraneQuickGelu", {"x: float", "bias: float"}, {"threads: int"}, &ComputeQuickGelu);
  Register("CraneLayerNorm", {"x: float", "gain: float", "offset: float"}, {"epsilon: float", "threads: int"}, &ComputeLayerNorm);
  Register("CraneAddResidual", {"x: float", "bias: float", "residual: float"}, {"threads: int"}, &ComputeAddResidual);
  return true;
}();

}  // namespace
