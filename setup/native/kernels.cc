// Operations of a vision transformer's forward pass that TensorFlow has only as chains of others: attention without its
// score matrices ever leaving the cache, and the passes around the linear layers, each in one go.
//
// They are registered with TensorFlow when this object is loaded, through its C interface. Where they are not there, or
// a shape is not theirs, lib/layers computes the same with plain operations, which is also what they are tested against.
// Each is compiled for several instruction sets (vector_kernels.inc) and the best that the processor has is taken.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace {

// ---------------------------------------------------------------------------------------------------- threads

// Helpers that wait for work and are never ended: they outlive whatever unloads at the end of the process.
class Workers {
 public:
  // Runs body(0) to body(count - 1), on at most `threads` threads with the calling one, and waits for all.
  void Run(int count, int threads, const std::function<void(int)>& body) {
    std::lock_guard<std::mutex> one_at_a_time(run_);
    const int helpers = std::min(threads, count) - 1;
    if (helpers <= 0) {
      for (int index = 0; index < count; index++) body(index);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int>(started_) < helpers) {
        std::thread([this, place = started_] { Serve(place); }).detach();
        started_++;
      }
      body_ = &body;
      count_ = count;
      next_ = 0;
      wanted_ = helpers;
      busy_ = helpers;
      round_++;
    }
    wake_.notify_all();
    Work(body, count);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void Work(const std::function<void(int)>& body, int count) {
    for (int index = next_++; index < count; index = next_++) body(index);
  }

  void Serve(int place) {
    uint64_t seen = 0;
    for (;;) {
      const std::function<void(int)>* body = nullptr;
      int count = 0;
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
  const std::function<void(int)>* body_ = nullptr;
  int count_ = 0, started_ = 0, wanted_ = 0, busy_ = 0;
  uint64_t round_ = 0;
  std::atomic<int> next_{0};
};

Workers& workers() {
  static Workers* const all = new Workers();
  return *all;
}

// ---------------------------------------------------------------------------------------------------- arithmetic

// What attention is computed from and into. Tokens of `joined` are [queries | keys | values], heads side by side in each.
struct Attention {
  const float* joined;  // [B, N, 3D]
  const float* bias;    // [3D]
  float* out;           // [B, rows, D]
  int64_t batch, tokens, width, heads, rows;
  int correlations;
};

// Bits of `correlations`: which matrices' softmaxes are added before they weigh the values.
constexpr int kQueriesKeys = 1, kQueriesQueries = 2, kKeysKeys = 4, kValuesValues = 8;

// Rows of scores that are worked on at once, and tokens of a panel of the right factor.
constexpr int kBlock = 24, kPanel = 32;

// Memory that starts where a cache line does.
class Buffer {
 public:
  explicit Buffer(size_t floats) : data_(static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64))) {}
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* get() const { return data_; }

 private:
  float* data_;
};

// Sixteen floats; an instruction set with shorter vectors takes several for it.
typedef float Vector __attribute__((vector_size(64), aligned(64)));
typedef float LooseVector __attribute__((vector_size(64), aligned(4)));
typedef int32_t Integers __attribute__((vector_size(64), aligned(64)));
constexpr int kWide = 16;

#if defined(__x86_64__)
#define CRANE_VECTORS avx512
#define CRANE_SCORE_ROWS 12
#define CRANE_SCORE_VECTORS 2
#define CRANE_VALUE_ROWS 6
#define CRANE_VALUE_VECTORS 4
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#include "vector_kernels.inc"
#pragma GCC pop_options
#undef CRANE_VECTORS
#undef CRANE_SCORE_ROWS
#undef CRANE_SCORE_VECTORS
#undef CRANE_VALUE_ROWS
#undef CRANE_VALUE_VECTORS

#define CRANE_VECTORS avx2
#define CRANE_SCORE_ROWS 6
#define CRANE_SCORE_VECTORS 1
#define CRANE_VALUE_ROWS 6
#define CRANE_VALUE_VECTORS 1
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "vector_kernels.inc"
#pragma GCC pop_options
#undef CRANE_VECTORS
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
// Sixteen floats are four vectors of NEON, of which there are thirty-two.
#define CRANE_VECTORS plain
#define CRANE_SCORE_ROWS 6
#define CRANE_SCORE_VECTORS 1
#define CRANE_VALUE_ROWS 6
#define CRANE_VALUE_VECTORS 1
#include "vector_kernels.inc"
#define CRANE_DISPATCH(call) plain::call
bool supported() { return true; }
#endif

// ---------------------------------------------------------------------------------------------------- operations

// A status that is handed to TensorFlow when something went wrong.
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

  bool Require(bool condition, const char* message) {
    if (condition || !Ok()) return Ok();
    TF_SetStatus(status_, TF_INVALID_ARGUMENT, message);
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

std::vector<int64_t> ShapeOf(TF_Tensor* tensor) {
  std::vector<int64_t> shape(TF_NumDims(tensor));
  for (size_t axis = 0; axis < shape.size(); axis++) shape[axis] = TF_Dim(tensor, static_cast<int>(axis));
  return shape;
}

// Attributes, all of them whole numbers but epsilon; an operation has some of them.
struct Attributes {
  int heads = 1, correlations = 1, rows = 0, threads = 1;
  float epsilon = 0;
};

void* ReadAttributes(TF_OpKernelConstruction* construction) {
  auto* attributes = new Attributes();
  TF_Status* status = TF_NewStatus();
  const auto read = [&](const char* name, int* value) {
    int32_t found = 0;
    TF_OpKernelConstruction_GetAttrInt32(construction, name, &found, status);
    if (TF_GetCode(status) == TF_OK) *value = found;
  };
  read("heads", &attributes->heads);
  read("correlations", &attributes->correlations);
  read("rows", &attributes->rows);
  read("threads", &attributes->threads);
  float epsilon = 0;
  TF_OpKernelConstruction_GetAttrFloat(construction, "epsilon", &epsilon, status);
  if (TF_GetCode(status) == TF_OK) attributes->epsilon = epsilon;
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
      !call.Require(heads > 0 && (shape[2] / 3) % heads == 0 && (shape[2] / 3 / heads) % kWide == 0, "CraneAttention: heads must have multiples of 16 channels") ||
      !call.Require(TF_TensorElementCount(bias) == shape[2], "CraneAttention: expected a bias [3D]") ||
      !call.Require(attributes.correlations > 0 && attributes.correlations < 16, "CraneAttention: unknown correlations") ||
      !call.Require(attributes.rows > 0 && attributes.rows <= shape[1], "CraneAttention: rows must be among the tokens")) {
    return;
  }
  float* out = call.Output(0, {shape[0], attributes.rows, shape[2] / 3});
  if (out == nullptr) return;
  const Attention attention{Floats(joined), Floats(bias), out, shape[0], shape[1], shape[2] / 3, heads, attributes.rows, attributes.correlations};
  // A head is cut into chunks of rows where there are fewer heads than keep all threads busy to the end.
  const int64_t whole = attention.batch * heads;
  const int64_t wanted = attributes.threads > 1 ? (4 * attributes.threads + whole - 1) / std::max<int64_t>(whole, 1) : 1;
  const int64_t chunks = std::max<int64_t>(1, std::min<int64_t>(wanted, attention.rows / 96));
  workers().Run(static_cast<int>(whole * chunks), attributes.threads, [&](int task) {
    const int64_t head = task / chunks, chunk = task % chunks;
    const int64_t first = attention.rows * chunk / chunks, end = attention.rows * (chunk + 1) / chunks;
    CRANE_DISPATCH(AttendHead(attention, head / heads, head % heads, first, end));
  });
}

// Runs `body` over pieces of `rows` rows.
void OverRows(int64_t rows, int threads, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(rows / 16, 4 * static_cast<int64_t>(threads)));
  workers().Run(static_cast<int>(pieces), threads, [&](int piece) { body(rows * piece / pieces, rows * (piece + 1) / pieces); });
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
      !call.Require(width > 0 && width % kWide == 0 && TF_TensorElementCount(x) % width == 0, "CraneQuickGelu: rows must have a multiple of 16 channels")) {
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
      !call.Require(width > 0 && width % kWide == 0 && TF_TensorElementCount(offset) == width && TF_TensorElementCount(x) % width == 0, "CraneLayerNorm: rows must have a multiple of 16 channels")) {
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
      !call.Require(width > 0 && width % kWide == 0 && TF_TensorElementCount(x) % width == 0 && TF_TensorElementCount(residual) == TF_TensorElementCount(x),
                    "CraneAddResidual: rows must have a multiple of 16 channels")) {
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

const bool registered = [] {
  Register("CraneAttention", {"joined: float", "bias: float"}, {"heads: int", "correlations: int", "rows: int", "threads: int"}, &ComputeAttention);
  Register("CraneQuickGelu", {"x: float", "bias: float"}, {"threads: int"}, &ComputeQuickGelu);
  Register("CraneLayerNorm", {"x: float", "gain: float", "offset: float"}, {"epsilon: float", "threads: int"}, &ComputeLayerNorm);
  Register("CraneAddResidual", {"x: float", "bias: float", "residual: float"}, {"threads: int"}, &ComputeAddResidual);
  return true;
}();

}  // namespace
