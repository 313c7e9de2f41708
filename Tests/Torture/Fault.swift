import Glibc
import Postgres
import SeededRandomness
import TestSupport

/// Something bad that happens to a running ledger, and is over again after a while.
package enum Fault: String, Sendable, CaseIterable {
    /// The leader is killed, and started again.
    case killLeader = "kill-leader"
    /// A node that may lead or not is killed, and started again.
    case killNode = "kill-node"
    /// All nodes are killed at once.
    case killAll = "kill-all"
    /// The leader is told to end, and started again.
    case stopLeader = "stop-leader"
    /// The leader stands still for longer than it takes another to lead, and goes on.
    case pauseLeader = "pause-leader"
    /// A node that may lead or not stands still for a while.
    case pauseNode = "pause-node"
    /// PostgreSQL is killed, and starts again.
    case killDatabase = "kill-database"
    /// The leader's connections to PostgreSQL break.
    case cutDatabase = "cut-database"
    /// The leader can't connect to PostgreSQL for a while; the others can.
    case refuseDatabase = "refuse-database"
    /// Between the leader and PostgreSQL all bytes wait, and arrive late.
    case stallDatabase = "stall-database"
    /// The connection breaks before the COMMIT arrives.
    case loseCommit = "lose-commit"
    /// The connection breaks as the COMMIT arrives.
    case loseEither = "lose-either"
    /// The connection breaks before the reply to the COMMIT arrives.
    case loseReply = "lose-reply"
    /// The leader's transaction stops halfway, and goes on late.
    case stallCommit = "stall-commit"
    /// The other nodes hear nothing from the leader.
    case stallNodes = "stall-nodes"
    /// The other nodes can't connect to the leader.
    case refuseNodes = "refuse-nodes"

    /// The host of the primary PostgreSQL is lost, and comes back.
    case killPrimary = "kill-primary"
    /// The host of the primary PostgreSQL hangs until another one has taken over.
    case pausePrimary = "pause-primary"
    /// Another PostgreSQL takes over in order.
    case switchPrimary = "switch-primary"

    /// Those that can happen on a stage.
    package static func possible(nodes: Int, isCluster: Bool) -> [Fault] {
        allCases.filter { fault in
            switch fault {
            case .stallNodes, .refuseNodes: nodes > 1
            case .killPrimary, .pausePrimary, .switchPrimary: isCluster
            case .killDatabase, .cutDatabase, .refuseDatabase, .stallDatabase, .loseCommit,
                .loseEither, .loseReply, .stallCommit:
                !isCluster
            case .killLeader, .killNode, .killAll, .stopLeader, .pauseLeader, .pauseNode: true
            }
        }
    }

    /// Lets it happen, and waits until it is over; a remark if it could not.
    func inflict(
        on stage: Stage, _ generator: inout SeededGenerator
    ) throws -> String? {
        switch self {
        case .killDatabase: stage.site.killPostmaster(directory: stage.directory)
        case .killPrimary, .pausePrimary, .switchPrimary:
            if case .cluster(let cluster) = stage.site { try inflict(on: cluster, &generator) }
        case .killAll:
            for node in stage.nodes { node.end(SIGKILL) }
            for node in stage.nodes { try node.start() }
        case .pauseNode:
            if let node = stage.nodes.randomElement(using: &generator) {
                pause(node, seconds: 0.5...4, &generator)
            }
        case .killNode:
            if let node = stage.nodes.randomElement(using: &generator) {
                try end(node, SIGKILL, &generator)
            }
        case .loseCommit: return try trap(.beforeCommit, stage, &generator)
        case .loseEither: return try trap(.amidCommit, stage, &generator)
        case .loseReply: return try trap(.afterCommit, stage, &generator)
        case .stallCommit: return try trap(.stalledCopy, stage, &generator)
        default: try inflict(on: stage.leader(), &generator)
        }
        return nil
    }

    private func inflict(on leader: Node, _ generator: inout SeededGenerator) throws {
        switch self {
        case .killLeader: try end(leader, SIGKILL, &generator)
        case .stopLeader: try end(leader, SIGTERM, &generator)
        case .pauseLeader: pause(leader, seconds: 8...10, &generator)
        case .stallNodes: hold(leader.entrance.stall, leader.entrance, &generator)
        case .refuseNodes: hold(leader.entrance.refuse, leader.entrance, &generator)
        default: if let database = leader.database { inflict(on: database, &generator) }
        }
    }

    private func inflict(on database: FaultyProxy, _ generator: inout SeededGenerator) {
        switch self {
        case .cutDatabase:
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                database.cut()
                wait(seconds: 0...0.4, &generator)
            }
        case .refuseDatabase: hold(database.refuse, database, &generator)
        case .stallDatabase: hold(database.stall, database, &generator)
        default: break
        }
    }

    private func inflict(
        on cluster: PatroniCluster, _ generator: inout SeededGenerator
    ) throws {
        switch self {
        case .killPrimary:
            let lost = try cluster.killPrimary()
            _ = try cluster.waitForPrimary(otherThan: lost)
            wait(seconds: 0...2, &generator)
            try cluster.start(lost)
        case .pausePrimary:
            let hung = try cluster.primary()
            try cluster.pause(hung)
            _ = try cluster.waitForPrimary(otherThan: hung)
            wait(seconds: 0...2, &generator)
            try cluster.resume(hung)
        default: try cluster.switchOver()
        }
        try cluster.waitUntilWhole()
    }

    private func wait(
        seconds: ClosedRange<Double>, _ generator: inout SeededGenerator
    ) {
        let duration = Duration.seconds(Double.random(in: seconds, using: &generator))
        _ = Signal().wait(timeout: duration)
    }

    private func end(
        _ node: Node, _ signal: Int32, _ generator: inout SeededGenerator
    ) throws {
        node.end(signal)
        wait(seconds: 0...3, &generator)
        try node.start()
    }

    private func pause(
        _ node: Node, seconds: ClosedRange<Double>, _ generator: inout SeededGenerator
    ) {
        node.signal(SIGSTOP)
        wait(seconds: seconds, &generator)
        node.signal(SIGCONT)
    }

    private func hold(
        _ begin: () -> Void, _ proxy: FaultyProxy, _ generator: inout SeededGenerator
    ) {
        begin()
        wait(seconds: 1...9, &generator)
        // What waits arrives late, or never.
        if Bool.random(using: &generator) { proxy.cut() }
        proxy.resume()
    }

    /// Statements that only the sequencer's transactions have.
    private static let bait = "advance_head"

    private func trap(
        _ trap: FaultyProxy.Trap, _ stage: Stage, _ generator: inout SeededGenerator
    ) throws -> String? {
        for _ in 0..<(trap == .stalledCopy ? 1 : Int.random(in: 1...3, using: &generator)) {
            guard let database = try spring(trap, stage) else {
                return "no commit ran into the trap"
            }
            if trap == .stalledCopy { wait(seconds: 3...9, &generator) }
            database.resume()
        }
        return nil
    }

    /// Sets a trap for whoever leads: a broken connection is enough to lose the lead, so it may be
    /// another one each time, and another one than it says itself.
    private func spring(_ trap: FaultyProxy.Trap, _ stage: Stage) throws -> FaultyProxy? {
        for _ in 0..<5 {
            guard let database = try stage.leader().database else { return nil }
            database.arm(trap, bait: Self.bait)
            if database.waitUntilSprung(timeout: .seconds(2)) { return database }
            database.resume()
        }
        return nil
    }
}
