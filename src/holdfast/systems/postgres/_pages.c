/*
 * Checksums of PostgreSQL pages, whole runs at a time, without the interpreter's lock.
 *
 * The sum is the one of src/include/storage/checksum_impl.h (FNV-1a derived, 32 lanes of 32 bits, folded, mixed with the block
 * number, reduced to 1..65535); the page's own checksum field counts as zero. pages/sums.py holds the same in numpy, and the tests
 * hold the two to each other and to the pages of real servers.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define LANES 32
#define PRIME 16777619u

static const uint32_t OFFSETS[LANES] = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
};

/* Bytes 8..9 of a page hold the checksum, 14..15 pd_upper (0 on a page that was never initialised). */
#define CHECKSUM_AT 8
#define UPPER_AT 14

static inline __attribute__((always_inline)) uint16_t
page_sum(const unsigned char *page, size_t size, uint32_t block)
{
    uint32_t sums[LANES], row[LANES], result = 0;
    size_t at;
    int i;

    memcpy(sums, OFFSETS, sizeof sums);
    memcpy(row, page, sizeof row);
    ((unsigned char *) row)[CHECKSUM_AT] = 0;
    ((unsigned char *) row)[CHECKSUM_AT + 1] = 0;
    for (i = 0; i < LANES; i++) {
        uint32_t mixed = sums[i] ^ row[i];
        sums[i] = mixed * PRIME ^ (mixed >> 17);
    }
    for (at = sizeof row; at < size; at += sizeof row) {
        memcpy(row, page + at, sizeof row);
        for (i = 0; i < LANES; i++) {
            uint32_t mixed = sums[i] ^ row[i];
            sums[i] = mixed * PRIME ^ (mixed >> 17);
        }
    }
    for (at = 0; at < 2; at++)
        for (i = 0; i < LANES; i++)
            sums[i] = sums[i] * PRIME ^ (sums[i] >> 17);
    for (i = 0; i < LANES; i++)
        result ^= sums[i];
    result ^= block;
    return (uint16_t) (result % 65535 + 1);
}

static int
all_zero(const unsigned char *page, size_t size)
{
    return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

static inline __attribute__((always_inline)) size_t
scan(const unsigned char *data, size_t pages, size_t size, uint32_t first, uint32_t *wrong)
{
    size_t found = 0, i;

    for (i = 0; i < pages; i++) {
        const unsigned char *page = data + i * size;
        uint16_t stored, upper;

        memcpy(&stored, page + CHECKSUM_AT, 2);
        memcpy(&upper, page + UPPER_AT, 2);
        if (upper == 0 && all_zero(page, size))
            continue;
        if (upper == 0 || stored != page_sum(page, size, first + (uint32_t) i))
            wrong[found++] = (uint32_t) i;
    }
    return found;
}

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
__attribute__((target("avx2"))) static size_t
scan_avx2(const unsigned char *data, size_t pages, size_t size, uint32_t first, uint32_t *wrong)
{
    return scan(data, pages, size, first, wrong);
}
#define HAVE_AVX2 1
#endif

static size_t
scan_any(const unsigned char *data, size_t pages, size_t size, uint32_t first, uint32_t *wrong)
{
#ifdef HAVE_AVX2
    if (__builtin_cpu_supports("avx2"))
        return scan_avx2(data, pages, size, first, wrong);
#endif
    return scan(data, pages, size, first, wrong);
}

static PyObject *
wrong_pages(PyObject *self, PyObject *args)
{
    Py_buffer view;
    Py_ssize_t size;
    unsigned long first;
    size_t pages, found, i;
    uint32_t *wrong;
    PyObject *result;

    (void) self;
    if (!PyArg_ParseTuple(args, "y*kn", &view, &first, &size))
        return NULL;
    if (size < 1024 || size > 65536 || size % (LANES * 4) != 0) {
        PyBuffer_Release(&view);
        return PyErr_Format(PyExc_ValueError, "not a page size: %zd", size);
    }
    pages = (size_t) (view.len / size);
    wrong = PyMem_Malloc((pages ? pages : 1) * sizeof *wrong);
    if (wrong == NULL) {
        PyBuffer_Release(&view);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    found = scan_any(view.buf, pages, (size_t) size, (uint32_t) first, wrong);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    result = PyTuple_New((Py_ssize_t) found);
    for (i = 0; result != NULL && i < found; i++) {
        PyObject *number = PyLong_FromUnsignedLong(wrong[i]);
        if (number == NULL || PyTuple_SetItem(result, (Py_ssize_t) i, number) != 0)
            Py_CLEAR(result);
    }
    PyMem_Free(wrong);
    return result;
}

static PyMethodDef METHODS[] = {
    {"wrong_pages", wrong_pages, METH_VARARGS,
     "wrong_pages(run, first_block, page_size) -> indexes of the pages in the run whose stored checksum differs; zero pages are right."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_pages", "Checksums of PostgreSQL pages.", 0, METHODS, SLOTS, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__pages(void)
{
    return PyModuleDef_Init(&MODULE);
}
