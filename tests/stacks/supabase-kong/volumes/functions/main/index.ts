// A project puts its functions beside this one.
