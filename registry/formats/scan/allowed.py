"""The allow-list: what a serialised model may name. Everything else is refused.

For the libraries of the list a *class* (a name in CapWords, no dot) of a public or estimator module may be named:
building one runs that library's constructor only. Functions are listed one by one.
"""

from __future__ import annotations

import re

LOADER_MODULES = frozenset({"mlflow.sklearn", "mlflow.xgboost", "mlflow.lightgbm"})
FLAVORS = frozenset({"python_function", "sklearn", "xgboost", "lightgbm"})

_CLASS = re.compile(r"_{0,2}[A-Z][A-Za-z0-9_]*\Z")
_CYTHON = re.compile(r"__pyx_unpickle_[A-Za-z0-9_]+\Z")
_CLASS_PACKAGES = ("sklearn", "xgboost", "lightgbm")
_NEVER = (
    "sklearn.datasets", "sklearn.externals", "sklearn.utils._testing", "sklearn.utils.parallel", "sklearn.callback",
    "sklearn.conftest", "sklearn.inspection", "sklearn.experimental", "xgboost.testing", "xgboost.spark",
    "xgboost.dask", "xgboost.tracker", "xgboost.collective", "xgboost.federated", "lightgbm.dask", "lightgbm.libpath",
)  # fmt: skip
# Classes of others that a module of these libraries happens to import, and that do more than hold values.
_FOREIGN = frozenset({
    "MethodType", "FunctionType", "CodeType", "Path", "PosixPath", "StringIO", "BytesIO", "Parallel", "Memory",
    "ThreadPool", "ThreadPoolExecutor", "ProcessPoolExecutor", "Thread", "Process", "Popen", "Callable", "Protocol",
    "NamedTuple", "TemporaryDirectory",
})  # fmt: skip
_ESTIMATOR_TESTS = re.compile(r"(^|\.)tests?(\.|$)")

_BUILTINS = "set frozenset dict list tuple bytearray bytes complex slice range object int float bool str NoneType"
_UFUNCS = (
    "log log1p log2 log10 exp expm1 sqrt square abs absolute sign sin cos tan arcsin arccos arctan tanh floor ceil "
    "rint clip maximum minimum add subtract multiply divide power nan_to_num"
)
_SCALARS = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp float16 float32 float64 longdouble str_ bytes_ "
    "object_ datetime64 timedelta64"
)
_NAMES: dict[str, str] = {
    "builtins": _BUILTINS,
    "copyreg": "_reconstructor",
    "collections": "OrderedDict defaultdict Counter",
    "numpy": f"ndarray dtype matrix {_UFUNCS} {_SCALARS}",
    "numpy.ma": "MaskedArray",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.numeric": "_frombuffer",
    "numpy.core.numeric": "_frombuffer",
    "numpy.dtypes": "Float64DType Float32DType Int64DType Int32DType ObjectDType BoolDType StrDType",
    "numpy.random._pickle": "__randomstate_ctor __bit_generator_ctor __generator_ctor",
    "numpy.random.mtrand": "RandomState",
    "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64",
    "numpy.random._generator": "Generator",
    "numpy.random": "RandomState Generator",
    "scipy.sparse._csr": "csr_matrix csr_array",
    "scipy.sparse._csc": "csc_matrix csc_array",
    "scipy.sparse._coo": "coo_matrix coo_array",
    "scipy.sparse": "csr_matrix csc_matrix coo_matrix csr_array csc_array coo_array",
    "scipy.interpolate._interpolate": "interp1d",
    "scipy.special": "expit logit",
    "sklearn.metrics._dist_metrics": "newObj",
    "sklearn.neighbors._kd_tree": "newObj",
    "sklearn.neighbors._ball_tree": "newObj",
    "sklearn.feature_selection._univariate_selection": "f_classif f_regression chi2",
}
_LISTED = frozenset((module, name) for module, names in _NAMES.items() for name in names.split())

SKOPS_LOADERS = frozenset({
    "BytearrayNode", "BytesNode", "CachedNode", "ConstructorFromReduceNode", "DTypeNode", "DefaultDictNode",
    "DictNode", "FunctionNode", "JsonNode", "ListNode", "LossNode", "MaskedArrayNode", "NdArrayNode", "ObjectNode",
    "RandomGeneratorNode", "RandomStateNode", "ReduceNode", "SetNode", "SliceNode", "SparseMatrixNode", "TreeNode",
    "TupleNode", "TypeNode",
})  # fmt: skip


def allowed(module: str, name: str) -> bool:
    """Whether a serialised model may name ``module.name``."""
    if (module, name) in _LISTED:
        return True
    package = module.partition(".")[0]
    if package not in _CLASS_PACKAGES or _ESTIMATOR_TESTS.search(module):
        return False
    if any(module == never or module.startswith(never + ".") for never in _NEVER):
        return False
    return name not in _FOREIGN and bool(_CLASS.match(name) or _CYTHON.match(name))


def is_own(module: str, name: str, found: object) -> bool:
    """Whether ``found``, now imported as ``module.name``, is what that name promised: listed, or made by that library.

    A module also holds what it imports from elsewhere, and constants; bytes do not tell, so loading asks again.
    """
    made_by = str(getattr(found, "__module__", "") or "")
    return (module, name) in _LISTED or (callable(found) and made_by.partition(".")[0] == module.partition(".")[0])


def allowed_dotted(full: str) -> bool:
    """The same for ``module.name`` in one word, as skops writes it."""
    module, _, name = full.rpartition(".")
    return allowed(module, name)
