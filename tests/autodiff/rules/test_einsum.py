"""Einstein sums."""

from autodiff.checks import checks
from autodiff.numeric import NEWEST, Case, case

PRODUCTS = [
    case("Einsum", *shapes, equation=equation, wrt=wrt, opset=opset, dynamic=())
    for equation, shapes, opset in (
        ("ij,jk->ik", ((2, 3), (3, 4)), 12),
        ("bij,bkj->bik", ((2, 3, 4), (2, 5, 4)), 18),
        ("bhqd,bhkd->bhqk", ((2, 2, 3, 2), (2, 2, 2, 2)), NEWEST),
        ("ij, kj", ((2, 3), (4, 3)), 18),
        ("...ij,jk->...ik", ((2, 2, 3), (3, 4)), 18),
        ("i...,...j->...ij", ((3, 2), (2, 2)), 18),
        ("...i,...i->...", ((2, 1, 3), (2, 4, 3)), 18),
        ("ij,jk->k", ((2, 3), (3, 4)), 18),
        ("ij,ik->i", ((2, 3), (2, 4)), 18),
        ("i,j->ij", ((2,), (3,)), 18),
    )
    for wrt in (0, 1)
] + [
    case("Einsum", (2, 3, 4), equation="bij->bji", dynamic=((0,), (0, 1, 2))),
    case("Einsum", (2, 3, 4), equation="bij->b", dynamic=((0,), (0, 1, 2))),
    case("Einsum", (2, 3, 4), equation="...i", dynamic=((0,),)),
    case("Einsum", (2, 3), (3, 2), (2, 4), equation="ij,jk,kl->il", wrt=1, dynamic=()),
]
DIAGONALS = [
    case("Einsum", shape, equation=equation, dynamic=((0, 1),) if len(shape) == 2 else ((0,),))
    for equation, shape in (
        ("ii->i", (4, 4)),
        ("ii", (4, 4)),
        ("ii->", (3, 3)),
        ("bii->b", (2, 3, 3)),
        ("...ii->...i", (2, 3, 3)),
        ("iij->j", (3, 3, 2)),
        ("iji->ji", (3, 2, 3)),
        ("iii->i", (3, 3, 3)),
        ("iijj->ij", (2, 2, 3, 3)),
        ("jiij", (2, 3, 3, 2)),
    )
] + [
    case("Einsum", *shapes, equation=equation, wrt=wrt, dynamic=())
    for equation, shapes in (
        ("ii,ij->ij", ((3, 3), (3, 2))),
        ("bii,bk->bk", ((2, 3, 3), (2, 4))),
        ("iji,ij->i", ((3, 2, 3), (3, 2))),
        ("ii,jj->ij", ((2, 2), (3, 3))),
    )
    for wrt in (0, 1)
]
BROADCAST = [
    case("Einsum", *shapes, equation=equation, wrt=wrt, runtime=True, dynamic=())
    for equation, shapes in (
        ("ij,ij->ij", ((2, 3), (2, 1))),
        ("ij,i->j", ((2, 3), (1,))),
        ("i,ij->j", ((1,), (2, 3))),
        ("...i,i->...", ((2, 3, 4), (4,))),
        ("...ij,...jk", ((2, 1, 2, 3), (2, 3, 3, 2))),
        (",ij->ji", ((), (2, 3))),
    )
    for wrt in (0, 1)
]
SINGLE = [
    case("Einsum", SHAPE, equation=equation, dynamic=((0,), (0, 1, 2)), opset=12)
    for SHAPE in ((2, 3, 4),)
    for equation in ("ijk", "kji", "ijk->ki", "...->...", "i...->...i")
]

CASES = [*PRODUCTS, *DIAGONALS, *BROADCAST, *SINGLE]


@checks(CASES)
def test_derivative(check, case: Case) -> None:
    check(case)
