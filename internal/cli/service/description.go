package service

const description = `
   ipfs-cluster-service runs one peer of an IPFS Cluster. A peer takes pin and
   unpin requests over its REST API, agrees on the pinset with the other peers,
   and has the IPFS daemon beside it hold the content that is allocated to it.

   Where the pinset is kept is chosen in service.json:

     "state": {"scylla": {...}}       in ScyllaDB or Apache Cassandra, shared by
                                      all peers; a peer keeps no copy
     "consensus": {"crdt": {...}}     in every peer, as upstream does
     "consensus": {"raft": {...}}     in every peer, as upstream does

   Run "init" first: it writes service.json and identity.json (the key pair of
   the peer) to ~/.ipfs-cluster or to the folder given with --config. Then run
   "daemon".

   Every setting can also come from the environment. The variables of the
   scylla state are CLUSTER_SCYLLA_ and the name of the setting, for example
   CLUSTER_SCYLLA_HOSTS (comma-separated), CLUSTER_SCYLLA_PORT,
   CLUSTER_SCYLLA_KEYSPACE, CLUSTER_SCYLLA_LOCALDC, CLUSTER_SCYLLA_USERNAME,
   CLUSTER_SCYLLA_PASSWORD and CLUSTER_SCYLLA_TLS_CAFILE.

EXAMPLES:
   A peer with its pinset in a database:

     $ CLUSTER_SCYLLA_HOSTS=db1,db2 ipfs-cluster-service init --state scylla
     $ ipfs-cluster-service daemon

   A peer that joins others:

     $ ipfs-cluster-service daemon --bootstrap /ip4/192.168.1.2/tcp/9096/p2p/QmPSoSaPXpyunaBwHs1rZBKYSqRV4bLRk32VGYLuvdrypL

   Log levels (debug, info, warn, error) overall and by component:

     $ ipfs-cluster-service --loglevel info,cluster:debug,scylla:debug daemon`
