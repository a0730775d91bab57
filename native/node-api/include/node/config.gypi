# Read in place of the running Node's own build options, which would otherwise leak into ours.
{
  'target_defaults': {},
  'variables': {}
}
