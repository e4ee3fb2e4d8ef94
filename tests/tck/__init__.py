"""The official Technology Compatibility Kit of the Dataspace Protocol against our connector.

``make tck`` (``python -m tests.tck``) fetches the released kit with Maven, starts our
connector in a process of its own, runs the kit against it and fails unless all its tests
pass. The kit asks for a company that decides as each test wants it, so the process is the
product's own application with:

- deciders that follow ``scripts.py`` (which dataset or agreement gets which answers, each
  after a pause: the kit refuses whatever comes before it listens);
- one registered participant, the kit, known by a constant header;
- datasets, offers and finalized agreements under the ids that the kit is told;
- two routes by which the kit asks our consumer to begin.

Nothing moves data: the kit hands out an address that nobody reads. The same process and the
same scripts serve ``tests/conformance/dsp/test_exchanges.py``, which needs no Java.
"""
