"""Text before it is spoken: sentences, and the marks that change the emotion within it. Nothing else is interpreted."""

from voxledger.synth.text.sentences import LONGEST, Sentence, sentences

__all__ = ["LONGEST", "Sentence", "sentences"]
