"""Healing: retry a call that fails with a tuned value using the value below; blame requires evidence."""

from windsock.healing.call import aheal, heal
from windsock.healing.classify import Blame, Classifier, Verdict, classify
from windsock.healing.mirrors import MirrorReport
from windsock.healing.quarantine import Fault, Withdrawal

__all__ = [
    "Blame",
    "Classifier",
    "Fault",
    "MirrorReport",
    "Verdict",
    "Withdrawal",
    "aheal",
    "classify",
    "heal",
]
