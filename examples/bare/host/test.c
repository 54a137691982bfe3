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
enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, SNEAKER = 7 };

/* The grey image at `path`, a binary PGM file of 28 x 28, as the model was trained to see it. */
static void read_image(const char *path, float *image) {
    unsigned char pixels[PIXELS];
    int width, height, limit;
    FILE *file = fopen(path, "rb");
    int holds = file && fscanf(file, "P5 %d %d %d", &width, &height, &limit) == 3 && fgetc(file) != EOF &&
                width == SIDE && height == SIDE && limit == 255 && fread(pixels, 1, PIXELS, file) == PIXELS;
    if (!holds) {
        fprintf(stderr, "%s is no PGM file of 28 x 28 pixels\n", path);
        exit(2);
    }
    fclose(file);
    for (int i = 0; i < PIXELS; i++) image[i] = ((float)pixels[i] / 255.0f - 0.286f) / 0.353f;
}

/* The logits of the program's own model for examples/sneaker.pgm are those of PyTorch (logits.py). */
static void model(const char *path) {
    const float expected[CLASSES] = {
        -0.577728669f, -0.642156276f, -0.737121966f, -0.752222291f, -0.627700568f,
        -0.600485025f, -0.892795198f, 3.67844552f, -0.637713854f, 2.12725972f,
    };
    size_t len = bare_model_scratch_len();
    float image[PIXELS], logits[CLASSES], *scratch = floats(len);
    check("the model's sizes", bare_model_image_len() == PIXELS && bare_model_classes() == CLASSES);
    read_image(path, image);
    check("the model runs", bare_model_run(image, PIXELS, logits, CLASSES, scratch, len) == BARE_OK);
    check_values("the logits of PyTorch", logits, expected, CLASSES);
    int best = 0;
    for (int i = 1; i < CLASSES; i++) best = logits[i] > logits[best] ? i : best;
    check("the class", best == SNEAKER);

    check("a smaller image", bare_model_run(image, PIXELS - 1, logits, CLASSES, scratch, len) == BARE_SIZE);
    check("a larger image", bare_model_run(image, 3 * PIXELS, logits, CLASSES, scratch, len) == BARE_SIZE);
    check("fewer logits", bare_model_run(image, PIXELS, logits, CLASSES - 1, scratch, len) == BARE_SIZE);
    check("too little scratch", bare_model_run(image, PIXELS, logits, CLASSES, scratch, len - 1) == BARE_SIZE);
    check("no image", bare_model_run(NULL, PIXELS, logits, CLASSES, scratch, len) == BARE_POINTER);
    printf("class %d; %zu bytes of weights, %zu of scratch\n", best, bare_model_weight_bytes(), len * sizeof(float));
    free(scratch);
}
#endif

int main(int argc, char **argv) {
    layer_norm();
    linear();
    attention();
#ifdef BARE_MODEL
    if (argc != 2) {
        fprintf(stderr, "usage: %s sneaker.pgm\n", argv[0]);
        return 2;
    }
    model(argv[1]);
#else
    (void)argc, (void)argv;
#endif
    printf("bare: %d passed, %d failed\n", passed, failed);
    return failed > 0;
}
