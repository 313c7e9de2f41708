import EventLog
import Postgres
import Schema

/// Follows the log from the live checkpoint on, over one connection.
///
/// Each step moves the checkpoint in the transaction that writes its rows. When the checkpoint is
/// not where this follower left it, a rebuild has swapped the tables or another node was faster:
/// the step writes nothing, and the follower starts over from the checkpoint that is there.
final class Follower {
    /// Where a step has left the projections, and where the log ends.
    struct Place: Equatable {
        var position: Int64
        var head: Int64
    }

    private let connection: Connection
    private let writer = ProjectionWriter(schema: ProjectionSchema.live)
    private var fold: ProjectionFold

    /// Events folded in one transaction.
    private static let batchMax: Int64 = 10_000

    /// Connects; builds the projections if they are missing or were built by another definition.
    init(conninfo: String, rebuilding: @escaping RebuildProgress) throws {
        connection = try Connection(conninfo, applicationName: "ledger projector")
        try LogScan.prepare(connection)
        // What a crash takes back goes together with its checkpoint, and is folded again.
        try connection.execute("SET synchronous_commit = off")
        let live = try ProjectionSchema.checkpoint(of: ProjectionSchema.live, connection)
        if live?.definition != ProjectionSchema.definition {
            _ = try Rebuild.run(conninfo: conninfo, progress: rebuilding)
        }
        fold = try Self.load(connection)
    }

    func close() { connection.close() }

    /// The definition of the live tables is not this program's: a newer one has rebuilt them.
    private struct ForeignDefinitionError: Error, CustomStringConvertible {
        var description: String {
            "the projections were replaced by those of another version of the ledger"
        }
    }

    private static func load(_ connection: Connection) throws -> ProjectionFold {
        let live = try ProjectionSchema.checkpoint(of: ProjectionSchema.live, connection)
        guard let live, live.definition == ProjectionSchema.definition else {
            throw ForeignDefinitionError()
        }
        return ProjectionFold(
            state: try EventReader.state(through: live.position, connection),
            position: live.position)
    }

    /// Folds what follows, up to a batch of it.
    func step() throws -> Place {
        let head = try Rebuild.head(connection)
        if head == fold.position { return Place(position: head, head: head) }
        var next = fold
        try next.read(through: min(head, fold.position + Self.batchMax), connection)
        try connection.execute("BEGIN")
        do {
            let live = try ProjectionSchema.checkpoint(
                of: ProjectionSchema.live, locking: true, connection)
            if live?.position == fold.position,
                live?.definition == ProjectionSchema.definition
            {
                try writer.write(next, connection)
                try connection.execute("COMMIT")
                next.clear()
                fold = next
            } else {
                try connection.execute("ROLLBACK")
                fold = try Self.load(connection)
            }
        } catch {
            if !connection.isBroken { try connection.execute("ROLLBACK") }
            throw error
        }
        return Place(position: fold.position, head: max(head, fold.position))
    }
}
