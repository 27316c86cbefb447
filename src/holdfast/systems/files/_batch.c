/*
 * Reads and writes many small files without the interpreter's lock: what is left of a file's cost are its system calls.
 *
 * capture/reading.py and restore/writing.py hold the same in Python, and the tests hold the two to each other.
 */
#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <Python.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NOT_REGULAR -1
#define TOO_LARGE -2

struct reading {
    int folder;
    const char *name;
    int error, changed, details;
    size_t start, got;
    struct stat st;
};

static int
same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
        && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whether a list of names (each ended by a zero) holds one that a point keeps. */
static int
kept_names(const char *names, ssize_t length)
{
    ssize_t at = 0;

    while (at < length) {
        const char *name = names + at;
        if (strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 || strncmp(name, "system.posix_acl_", 17) == 0
            || strcmp(name, "security.capability") == 0)
            return 1;
        at += (ssize_t) strlen(name) + 1;
    }
    return 0;
}

static void
read_one(struct reading *one, unsigned char *buffer, size_t room)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    struct stat after;
    char names[4096];
    ssize_t length;
    int handle, attempt;

    handle = openat(one->folder, one->name, flags | O_NOATIME);
    if (handle < 0 && errno == EPERM)
        handle = openat(one->folder, one->name, flags);
    if (handle < 0) {
        one->error = errno;
        return;
    }
    for (attempt = 0; attempt < 2; attempt++) {
        one->got = 0;
        if (fstat(handle, &one->st) != 0) {
            one->error = errno;
            break;
        }
        if (!S_ISREG(one->st.st_mode)) {
            one->error = NOT_REGULAR;
            break;
        }
        if (one->st.st_size < 0 || (size_t) one->st.st_size > room) {
            one->error = TOO_LARGE;
            break;
        }
        while (one->got < (size_t) one->st.st_size) {
            ssize_t more = pread(handle, buffer + one->got, (size_t) one->st.st_size - one->got, (off_t) one->got);
            if (more < 0 && errno == EINTR)
                continue;
            if (more < 0)
                one->error = errno;
            if (more <= 0)
                break;
            one->got += (size_t) more;
        }
        if (one->error != 0)
            break;
        if (fstat(handle, &after) != 0) {
            one->error = errno;
            break;
        }
        one->changed = one->got != (size_t) one->st.st_size || !same(&one->st, &after);
        if (!one->changed)
            break;
        one->st = after;
    }
    if (one->error == 0) {
        length = flistxattr(handle, names, sizeof names);
        if (length < 0 ? errno == ERANGE : kept_names(names, length))
            one->details = 1;
        if ((off_t) one->st.st_blocks * 512 < one->st.st_size
            && lseek(handle, 0, SEEK_HOLE) < one->st.st_size)
            one->details = 1;
    }
    close(handle);
}

static PyObject *
read_result(const struct reading *one)
{
    const struct stat *st = &one->st;

    if (one->error != 0)
        return Py_BuildValue("(i)", one->error);
    return Py_BuildValue("(iiinnIIIKKKLL)", 0, one->changed, one->details, (Py_ssize_t) one->start,
        (Py_ssize_t) (one->start + one->got), (unsigned int) st->st_mode, (unsigned int) st->st_uid, (unsigned int) st->st_gid,
        (unsigned long long) st->st_nlink, (unsigned long long) st->st_ino, (unsigned long long) st->st_dev,
        (long long) st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec,
        (long long) st->st_ctim.tv_sec * 1000000000LL + st->st_ctim.tv_nsec);
}

static PyObject *
read_files(PyObject *self, PyObject *args)
{
    PyObject *items, *result = NULL;
    Py_buffer view;
    struct reading *all;
    Py_ssize_t count, i;
    size_t at = 0;

    (void) self;
    if (!PyArg_ParseTuple(args, "Ow*", &items, &view))
        return NULL;
    count = PyList_Size(items);
    all = count < 0 ? NULL : PyMem_Calloc((size_t) count + 1, sizeof *all);
    if (all == NULL) {
        PyBuffer_Release(&view);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    for (i = 0; i < count; i++) {
        PyObject *name;
        if (!PyArg_ParseTuple(PyList_GetItem(items, i), "iS", &all[i].folder, &name))
            goto done;
        /* The list keeps the name alive. */
        all[i].name = PyBytes_AsString(name);
        if (all[i].name == NULL)
            goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    for (i = 0; i < count; i++) {
        all[i].start = at;
        read_one(&all[i], (unsigned char *) view.buf + at, (size_t) view.len - at);
        if (all[i].error == 0)
            at += all[i].got;
    }
    Py_END_ALLOW_THREADS
    result = PyList_New(count);
    for (i = 0; result != NULL && i < count; i++) {
        PyObject *one = read_result(&all[i]);
        if (one == NULL || PyList_SetItem(result, i, one) != 0)
            Py_CLEAR(result);
    }
done:
    PyMem_Free(all);
    PyBuffer_Release(&view);
    return result;
}

struct writing {
    int folder;
    const char *name;
    Py_buffer view;
    int held;
    unsigned int mode;
    long long uid, gid, mtime;
    int step, error;
};

enum { OPEN = 1, WRITE, OWNER, MODE, TIMES };

static void
write_one(struct writing *one)
{
    const unsigned char *data = one->view.buf;
    Py_ssize_t left = one->view.len;
    struct timespec times[2];
    int handle = openat(one->folder, one->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (handle < 0) {
        one->step = OPEN;
        one->error = errno;
        return;
    }
    while (left > 0) {
        ssize_t more = write(handle, data, (size_t) left);
        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0) {
            one->step = WRITE;
            one->error = more < 0 ? errno : EIO;
            close(handle);
            return;
        }
        data += more;
        left -= more;
    }
    if ((one->uid >= 0 || one->gid >= 0) && fchown(handle, (uid_t) one->uid, (gid_t) one->gid) != 0) {
        one->step = OWNER;
        one->error = errno;
        one->mode &= ~06000u;
    }
    if (fchmod(handle, one->mode) != 0 && one->step == 0) {
        one->step = MODE;
        one->error = errno;
    }
    times[0].tv_sec = 0;
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = one->mtime / 1000000000LL;
    times[1].tv_nsec = one->mtime % 1000000000LL;
    if (times[1].tv_nsec < 0) {
        times[1].tv_sec -= 1;
        times[1].tv_nsec += 1000000000L;
    }
    if (futimens(handle, times) != 0 && one->step == 0) {
        one->step = TIMES;
        one->error = errno;
    }
    if (close(handle) != 0 && one->step != WRITE) {
        one->step = WRITE;
        one->error = errno;
    }
}

static PyObject *
write_files(PyObject *self, PyObject *args)
{
    PyObject *items, *result = NULL;
    struct writing *all;
    Py_ssize_t count, i;

    (void) self;
    if (!PyArg_ParseTuple(args, "O", &items))
        return NULL;
    count = PyList_Size(items);
    all = count < 0 ? NULL : PyMem_Calloc((size_t) count + 1, sizeof *all);
    if (all == NULL)
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    for (i = 0; i < count; i++) {
        PyObject *name;
        if (!PyArg_ParseTuple(PyList_GetItem(items, i), "iSy*ILLL", &all[i].folder, &name, &all[i].view, &all[i].mode, &all[i].uid,
                &all[i].gid, &all[i].mtime))
            goto done;
        all[i].held = 1;
        all[i].name = PyBytes_AsString(name);
    }
    Py_BEGIN_ALLOW_THREADS
    for (i = 0; i < count; i++) {
        write_one(&all[i]);
        if (all[i].step == OPEN || all[i].step == WRITE)
            break;
    }
    Py_END_ALLOW_THREADS
    result = PyList_New(0);
    for (i = 0; result != NULL && i < count; i++) {
        PyObject *one;
        if (all[i].step == 0)
            continue;
        one = Py_BuildValue("(nii)", i, all[i].step, all[i].error);
        if (one == NULL || PyList_Append(result, one) != 0)
            Py_CLEAR(result);
        Py_XDECREF(one);
    }
done:
    for (i = 0; i < count; i++)
        if (all[i].held)
            PyBuffer_Release(&all[i].view);
    PyMem_Free(all);
    return result;
}

static PyMethodDef METHODS[] = {
    {"read_files", read_files, METH_VARARGS,
     "read_files([(folder, name), ...], buffer) -> for each (error,) or (0, changed, details, start, stop, mode, uid, gid, links, inode, "
     "device, mtime_ns, ctime_ns). error: errno, -1 for no regular file, -2 for one that does not fit any more."},
    {"write_files", write_files, METH_VARARGS,
     "write_files([(folder, name, data, mode, uid, gid, mtime_ns), ...]) -> [(index, step, errno), ...] of what failed; uid and gid -1: "
     "left alone. step: 1 open, 2 write (both end the batch), 3 owner, 4 mode, 5 times."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {{0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_batch", "Many small files at once.", 0, METHODS, SLOTS, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__batch(void)
{
    return PyModuleDef_Init(&MODULE);
}
