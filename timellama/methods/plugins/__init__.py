"""Methods of other libraries, one file each, which a configuration names as `module:NAME` (docs/adding.md).

Each needs an extra of the package. None has a short name, so that the list of methods does not depend on what is
installed.
"""

METHODS = ()
