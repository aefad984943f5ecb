"""Key rates as pure functions of what a link is made of.

Units are in names (`_km _db _hz _s _bps`), logarithms are to base 2, every formula names its
source, and published measurements are the tests.  Nothing here knows networks, weather or keys.
"""
