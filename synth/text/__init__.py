"""Text before it is spoken: sentences, and the marks that change the emotion within it. Nothing else is interpreted."""

from voxledger.synth.text.marks import Passage, has_marks, parse
from voxledger.synth.text.sentences import LONGEST, Sentence, sentences

__all__ = ["LONGEST", "Passage", "Sentence", "has_marks", "parse", "sentences"]
