# The tenant is made here; a stand-in reads it and makes none.
