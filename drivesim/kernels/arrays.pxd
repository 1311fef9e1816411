"""Access to the numbers of numpy arrays. Complex numbers are pairs of floats, so N of them are 2 N floats."""

cimport numpy as cnp


cdef inline void* _checked(cnp.ndarray array, int kind, Py_ssize_t size, str name) except NULL:
    if (
        array is None
        or cnp.PyArray_TYPE(array) != kind
        or cnp.PyArray_SIZE(array) != size
        or not cnp.PyArray_IS_C_CONTIGUOUS(array)
    ):
        raise ValueError(_complaint(array, kind, size, name))
    return cnp.PyArray_DATA(array)


cdef inline str _complaint(cnp.ndarray array, int kind, Py_ssize_t size, str name):
    if array is None:
        return f"{name}: found None, accepted an array"
    order = "contiguous" if cnp.PyArray_IS_C_CONTIGUOUS(array) else "not contiguous"
    wanted = cnp.PyArray_DescrFromType(kind)
    shape = (<object> array).shape
    return f"{name}: found {array.dtype} {shape} ({order}), accepted {size} entries of {wanted} (contiguous)"


cdef inline double* floats(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <double*> _checked(array, cnp.NPY_FLOAT64, size, name)


cdef inline double* complexes(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <double*> _checked(array, cnp.NPY_COMPLEX128, size, name)


cdef inline cnp.int64_t* integers(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <cnp.int64_t*> _checked(array, cnp.NPY_INT64, size, name)


cdef inline cnp.npy_bool* flags(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <cnp.npy_bool*> _checked(array, cnp.NPY_BOOL, size, name)


cdef inline cnp.ndarray row(int kind, Py_ssize_t size):
    """A new array [size]; what is in it is arbitrary."""
    cdef cnp.npy_intp shape = size
    return cnp.PyArray_EMPTY(1, &shape, kind, 0)


cdef inline cnp.ndarray table(int kind, Py_ssize_t rows, Py_ssize_t columns):
    """A new array [rows, columns]; what is in it is arbitrary."""
    cdef cnp.npy_intp[2] shape
    shape[0], shape[1] = rows, columns
    return cnp.PyArray_EMPTY(2, shape, kind, 0)


cdef inline float* singles(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <float*> _checked(array, cnp.NPY_FLOAT32, size, name)


cdef inline cnp.int32_t* counts(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <cnp.int32_t*> _checked(array, cnp.NPY_INT32, size, name)


cdef inline cnp.uint32_t* words(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <cnp.uint32_t*> _checked(array, cnp.NPY_UINT32, size, name)


cdef inline cnp.uint8_t* octets(cnp.ndarray array, Py_ssize_t size, str name) except NULL:
    return <cnp.uint8_t*> _checked(array, cnp.NPY_UINT8, size, name)


cdef inline cnp.ndarray single_table(Py_ssize_t rows, Py_ssize_t columns):
    """A new array [rows, columns] of single precision; what is in it is arbitrary."""
    return table(cnp.NPY_FLOAT32, rows, columns)


cdef inline double least(double a, double b) noexcept nogil:
    return a if a < b else b


cdef inline double most(double a, double b) noexcept nogil:
    return a if a > b else b
