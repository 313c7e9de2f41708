import Proof

// The log's modules know the tree by these names, whichever module it is in.

package typealias Digest = Proof.Digest
package typealias MerkleFrontier = Proof.MerkleFrontier
