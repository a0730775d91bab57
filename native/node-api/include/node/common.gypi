# What node-gyp expects of a Node header folder, reduced to what a Node-API addon needs: two configurations.
# The build passes native/node-api as node-gyp's --nodedir, so that no Node headers are downloaded or looked for. The
# headers themselves come from the node-api-headers package (binding.gyp), which has Node-API and nothing else: including
# node.h, v8.h or uv.h by mistake does not compile.
{
  'target_defaults': {
    'default_configuration': 'Release',
    'configurations': { 'Debug': {}, 'Release': {} },
  },
}
