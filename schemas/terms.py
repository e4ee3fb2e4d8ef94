"""Terms of use: what the rest of the bank needs of the policy profile, under one name.

Each term is either *enforced* by the supplier's connector at every read and query, or
*contractual*: promised in the contract and shown as such.
"""

from schemas.policy.model import PROFILE, Mode, Terms, UnknownTermError
from schemas.policy.odrl import Operand, from_policy, to_policy
from schemas.policy.relation import (
    LIST_OPERATORS,
    Bound,
    Mask,
    MaskMethod,
    Operator,
    RowCondition,
)
from schemas.policy.sentences import (
    UNLIMITED,
    Sentence,
    field_sentences,
    mask_words,
    moment,
    sentences,
    thousandths,
    title_of,
)

__all__ = [
    "LIST_OPERATORS",
    "PROFILE",
    "UNLIMITED",
    "Bound",
    "Mask",
    "MaskMethod",
    "Mode",
    "Operand",
    "Operator",
    "RowCondition",
    "Sentence",
    "Terms",
    "UnknownTermError",
    "field_sentences",
    "from_policy",
    "mask_words",
    "moment",
    "sentences",
    "thousandths",
    "title_of",
    "to_policy",
]
