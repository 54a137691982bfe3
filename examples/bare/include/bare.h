/* The kernels of shuffle-vit without std and without a heap.
 *
 * Matrices are channel-major: `channels` rows of `tokens` values, one row after the other. The caller owns all memory; a
 * buffer that is written overlaps no other. Nothing is kept between calls, so any number of threads or interrupt handlers
 * may call, each with buffers of its own. */
#ifndef BARE_H
#define BARE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    BARE_OK = 0,
    BARE_POINTER = 1, /* a pointer is null or misaligned */
    BARE_SIZE = 2     /* a size is impossible, or a buffer too short; nothing was written */
} bare_status;

/* Layer norm of the first `attended` channels (gamma, beta: attended) of x (channels x tokens) as it is after `shuffles`
 * channel shuffles with `groups` groups. No value of x moves. out: attended x tokens. */
bare_status bare_layer_norm(const float *x, size_t channels, size_t tokens, size_t groups, uint32_t shuffles,
                            size_t attended, const float *gamma, const float *beta, float eps, float *out);

/* A weight matrix (rows x columns, row-major) is packed once, here or on the machine that builds the firmware, into
 * bare_packed_len values (0: no memory is that large). */
size_t bare_packed_len(size_t rows, size_t columns);
bare_status bare_pack(const float *weight, size_t rows, size_t columns, float *packed);

/* out (rows x tokens) = weight * x + bias, with x: columns x tokens and bias: rows. */
bare_status bare_linear(const float *packed, size_t rows, size_t columns, const float *bias, const float *x,
                        size_t tokens, float *out);

/* One head of attention, out = softmax(scale * q^T k) v; q, k, v, out: head_dim x tokens. */
size_t bare_attention_scratch_len(size_t tokens);
bare_status bare_attention(const float *q, const float *k, const float *v, size_t head_dim, size_t tokens, float scale,
                           float *out, float *scratch, size_t scratch_len);

/* With the feature `model`: one model, its weights in read-only memory. image: planes of normalised pixels, as many values
 * as bare_model_image_len says; logits: one a class. Any other image_len or logits_len is BARE_SIZE. */
size_t bare_model_image_len(void);
size_t bare_model_classes(void);
size_t bare_model_weight_bytes(void);
size_t bare_model_scratch_len(void);
bare_status bare_model_run(const float *image, size_t image_len, float *logits, size_t logits_len, float *scratch,
                           size_t scratch_len);

#ifdef __cplusplus
}
#endif

#endif
