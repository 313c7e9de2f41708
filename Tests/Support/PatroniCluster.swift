import Glibc
import Synchronization

/// Three PostgreSQL under Patroni, made and controlled by `ops/ha/cluster`.
///
/// Its nodes are `one`, `two` and `three`.
package struct PatroniCluster: Sendable {
    package let directory: String
    /// How the ledger connects, to whichever node takes writes.
    package private(set) var conninfo = ""

    private static let count = Atomic<Int>(0)

    /// Makes a cluster on free ports and waits until it is whole; to be destroyed.
    ///
    /// A node that is silent for `ttlSeconds` is taken to be gone.
    package init(ttlSeconds: Int = 10) throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        directory = "/tmp/ledger-ha-\(getpid())-\(number)"
        do {
            try run("start", environment: ["HA_TTL": "\(ttlSeconds)"])
            conninfo = try run("conninfo")
        } catch {
            destroy()
            throw error
        }
    }

    /// How to connect as `ledger`, `replicator` or `postgres`.
    package func conninfo(as role: String) throws -> String { try run("conninfo", role) }

    /// The node that takes writes.
    package func primary() throws -> String { try run("primary") }

    /// The standby that has every commit.
    package func standby() throws -> String { try run("standby") }

    /// Kills everything on the primary's node; its name.
    package func killPrimary() throws -> String { try run("kill-primary") }

    /// Kills everything on a node.
    package func kill(_ node: String) throws { try run("kill", node) }

    /// Stops everything on a node from running on, as if its host hung.
    package func pause(_ node: String) throws { try run("pause", node) }

    /// Lets a paused node run on.
    package func resume(_ node: String) throws { try run("resume", node) }

    /// Starts a node that was killed.
    package func start(_ node: String) throws { try run("start-node", node) }

    /// Lets the standby take over in order, and waits until the cluster is whole again.
    package func switchOver() throws { try run("switchover") }

    /// Waits until a node takes writes that is not `other`; its name.
    package func waitForPrimary(otherThan other: String = "") throws -> String {
        try run("wait-for-primary", other)
    }

    /// Waits until one node takes writes and two follow it.
    package func waitUntilWhole() throws { try run("wait") }

    /// Stops everything and removes it.
    package func destroy() {
        do { try run("destroy") } catch { print("\(directory) is still there: \(error)") }
    }

    /// Runs a verb of the script to its end; what it printed.
    @discardableResult
    private func run(_ verb: String..., environment: [String: String] = [:]) throws -> String {
        try Script.run(
            "ops/ha/cluster", verb,
            environment: ["HA_DIR": directory, "HA_PORT": "auto"].merging(environment) { $1 })
    }
}
