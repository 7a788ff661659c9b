// From C++11: handles in std::unique_ptr, errors as exceptions. bazel-bin/examples/cpp/handles
#include <dtensor/dtensor.h>

#include <iostream>
#include <memory>
#include <stdexcept>

struct Destroy {
  void operator()(dtensor *x) const { dtensor_destroy(&x); }
  void operator()(dtensor_mesh *mesh) const { dtensor_mesh_destroy(&mesh); }
};
using Tensor = std::unique_ptr<dtensor, Destroy>;
using Mesh = std::unique_ptr<dtensor_mesh, Destroy>;

static void check(dtensor_status status) {
  if (status != DTENSOR_OK) throw std::runtime_error(dtensor_last_error());
}

// Calls f(inputs..., &out) and takes the new tensor.
template <typename Op, typename... Inputs>
static Tensor make(Op op, Inputs... inputs) {
  dtensor *out = nullptr;
  check(op(inputs..., &out));
  return Tensor(out);
}

// ||A A^T - (A A^T)^T|| on three simulated ranks: 0.
static void run(dtensor_sim *sim, double *value) {
  double ignored = 0;
  const int64_t mesh_shape[] = {3}, shape[] = {100, 80};
  const dtensor_placement rows[] = {dtensor_shard(0)};
  dtensor_mesh *raw = nullptr;
  check(dtensor_sim_init_device_mesh(sim, 1, mesh_shape, nullptr, &raw));
  const Mesh mesh(raw);
  const Tensor a = make(dtensor_randn, mesh.get(), DTENSOR_F64, 2, shape, rows);
  const Tensor a_t = make(dtensor_transpose, a.get(), 0, 1);
  const Tensor c = make(dtensor_matmul, a.get(), a_t.get());
  const Tensor c_t = make(dtensor_transpose, c.get(), 0, 1);
  const Tensor difference = make(dtensor_sub, c.get(), c_t.get());
  const Tensor norm = make(dtensor_norm, difference.get(), 0, nullptr, 0);
  if (dtensor_sim_rank(sim) != 0) value = &ignored;
  check(dtensor_item(norm.get(), value));
}

static dtensor_status body(dtensor_sim *sim, void *ctx) {
  try {
    run(sim, static_cast<double *>(ctx));
  } catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return DTENSOR_EINVAL;
  }
  return DTENSOR_OK;
}

int main() {
  double norm = 1;
  if (dtensor_sim_run(3, body, &norm) != DTENSOR_OK) return 1;
  std::cout << "asymmetry of A A^T: " << norm << '\n';
  return norm < 1e-9 ? 0 : 1;
}
