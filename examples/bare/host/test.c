/* Links the static library as firmware would and compares what it computes with known numbers. */
#include "../include/bare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int passed, failed;

static void check(const char *what, int holds) {
    if (holds) {
        passed++;
    } else {
        failed++;
        fprintf(stderr, "FAILED: %s\n", what);
    }
}

static void check_values(const char *what, const float *found, const float *expected, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!(fabsf(found[i] - expected[i]) <= 1e-5f)) {
            fprintf(stderr, "%s: value %zu is %.9g, expected %.9g\n", what, i, found[i], expected[i]);
            check(what, 0);
            return;
        }
    }
    check(what, 1);
}

static float *floats(size_t len) {
    float *values = malloc(len * sizeof(float));
    if (!values) abort();
    return values;
}

static void layer_norm(void) {
    /* 4 channels of 2 tokens. One shuffle with 2 groups presents channels 0 2 1 3, two present 0 1 2 3 again. */
    const float x[] = {0, 1, 2, 3, 4, 5, 6, 7}, gamma[] = {1, 2}, beta[] = {0, 1};
    const float expected[] = {-1, -1, 3, 3};
    float out[4];
    check("norm runs", bare_layer_norm(x, 4, 2, 2, 1, 2, gamma, beta, 1e-9f, out) == BARE_OK);
    check_values("norm of channels 0 and 2", out, expected, 4);
    check("norm runs again", bare_layer_norm(x, 4, 2, 2, 2, 2, gamma, beta, 1.0f, out) == BARE_OK);
    /* Channels 0 and 1 differ by 2: with eps 1 their deviations of 1 are divided by sqrt 2. */
    const float smoothed[] = {-0.70710678f, -0.70710678f, 2.41421356f, 2.41421356f};
    check_values("norm of channels 0 and 1", out, smoothed, 4);

    check("groups that do not divide", bare_layer_norm(x, 4, 2, 3, 1, 2, gamma, beta, 1e-6f, out) == BARE_SIZE);
    check("more attended than there are", bare_layer_norm(x, 4, 2, 2, 1, 5, gamma, beta, 1e-6f, out) == BARE_SIZE);
    check("no memory is so large", bare_layer_norm(x, SIZE_MAX, 2, 1, 0, 2, gamma, beta, 1e-6f, out) == BARE_SIZE);
    check("null", bare_layer_norm(NULL, 4, 2, 2, 1, 2, gamma, beta, 1e-6f, out) == BARE_POINTER);
    const float *odd = (const float *)((const char *)x + 1);
    check("misaligned", bare_layer_norm(odd, 3, 2, 1, 0, 2, gamma, beta, 1e-6f, out) == BARE_POINTER);
}

static void linear(void) {
    const float weight[] = {1, 2, 3, 4, 5, 6}, bias[] = {10, 20};
    const float x[] = {1, 0, 0, 1, 0, 0}, expected[] = {11, 12, 24, 25};
    float out[4], *packed = floats(bare_packed_len(2, 3));
    check("pack runs", bare_pack(weight, 2, 3, packed) == BARE_OK);
    check("linear runs", bare_linear(packed, 2, 3, bias, x, 2, out) == BARE_OK);
    check_values("weight * x + bias", out, expected, 4);
    check("no memory for a weight", bare_packed_len(SIZE_MAX, 3) == 0);
    check("nor to multiply by it", bare_linear(packed, SIZE_MAX, 3, bias, x, 2, out) == BARE_SIZE);
    free(packed);
}

static void attention(void) {
    /* Equal scores average the values; a large one picks its own. */
    const float zero[3] = {0}, v[] = {1, 2, 6}, mean[] = {3, 3, 3};
    const float one[] = {1, 1, 1}, k[] = {0, 50, 0}, second[] = {2, 2, 2};
    size_t len = bare_attention_scratch_len(3);
    float out[3], *scratch = floats(len);
    check("attention runs", bare_attention(zero, zero, v, 1, 3, 1.0f, out, scratch, len) == BARE_OK);
    check_values("the mean of the values", out, mean, 3);
    check("attention runs again", bare_attention(one, k, v, 1, 3, 1.0f, out, scratch, len) == BARE_OK);
    check_values("the value of one key", out, second, 3);
    check("too little scratch", bare_attention(one, k, v, 1, 3, 1.0f, out, scratch, len - 1) == BARE_SIZE);
    free(scratch);
}

#ifdef BARE_MODEL
/* The first image of crates/weights/tests/goldens/smallest.golden.safetensors and what PyTorch computes from it. */
static void model(void) {
    const float image[] = {
        -0.152234867f, 0.940047264f, 0.909372985f, 1.14702606f, 1.18824267f, 0.995770156f, 1.86878479f,
        1.00250077f, 1.67127097f, 0.0679465011f, 0.339456081f, -0.8220855f, 1.4125104f, -0.610248625f,
        -1.15967238f, -0.598514974f, 1.84705842f, -1.40189052f, -0.787665009f, 1.60278761f, -1.79372394f,
        -0.0752396956f, -0.99956286f, -0.175055951f, 0.161948755f, 1.21700609f, 0.303759545f, 1.34763682f,
        0.158049509f, -2.30072212f, -0.31361872f, -0.305163234f, 1.1291647f, 0.212576449f, 0.714485526f,
        0.467968941f, -0.387661815f, 1.20159566f, 0.199558854f, -0.777704537f, 2.31497216f, 1.92002463f,
        -0.524010062f, 0.534252703f, -0.227922797f, 0.0778973475f, -0.925060868f, 2.85859585f,
    };
    const float expected[] = {1.42877769f, 0.313653469f};
    size_t len = bare_model_scratch_len();
    float logits[2], *scratch = floats(len);
    check("the model's sizes", bare_model_image_len() == 48 && bare_model_classes() == 2);
    check("the model runs", bare_model_run(image, logits, scratch, len) == BARE_OK);
    check_values("the logits of PyTorch", logits, expected, 2);
    check("too little scratch for the model", bare_model_run(image, logits, scratch, len - 1) == BARE_SIZE);
    printf("model: %zu bytes of weights, %zu of scratch\n", bare_model_weight_bytes(), len * sizeof(float));
    free(scratch);
}
#endif

int main(void) {
    layer_norm();
    linear();
    attention();
#ifdef BARE_MODEL
    model();
#endif
    printf("bare: %d checks hold, %d do not\n", passed, failed);
    return failed > 0;
}
