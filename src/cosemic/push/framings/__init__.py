"""The framings that a stream of pushes may have, one a module; none of them waits or keeps octets of the stream.

A look at a place of the stream gives a number: above 0 the place where what begins there ends (which may be beyond the
octets that are there, where the length is written in front), 0 when nothing begins there, below 0 when that cannot be
told before the stream reaches that place, turned negative. What a look needs to know from
behind the end that it gives, it waits for.
"""
