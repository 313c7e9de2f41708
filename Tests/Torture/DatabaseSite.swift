import Glibc
import Postgres
import TestSupport

/// Where the database of a stage is.
enum DatabaseSite: Sendable {
    /// A PostgreSQL of the stage's own, with a faulty network between it and each node.
    case alone(EmbeddedServer)
    /// Three PostgreSQL under Patroni, which the nodes reach by themselves.
    case cluster(PatroniCluster)

    /// Makes one under a directory.
    static func make(isCluster: Bool, directory: String) throws -> DatabaseSite {
        if isCluster { return .cluster(try PatroniCluster()) }
        // What is killed here are processes; no power is cut.
        return .alone(
            try EmbeddedServer.start(
                dataDirectory: "\(directory)/data", settings: ["fsync=off", "max_connections=300"],
                report: { _ in }))
    }

    /// How to connect past all faults of networks.
    var conninfo: String {
        switch self {
        case .alone(let server): server.conninfo
        case .cluster(let cluster): cluster.conninfo
        }
    }

    /// How another node connects, and what stands between.
    func connectNode() -> (FaultyProxy?, conninfo: String) {
        guard case .alone(let server) = self else { return (nil, conninfo) }
        let settings = ConninfoSettings(server.conninfo)
        guard let socket = settings.socket else { return (nil, conninfo) }
        let proxy = FaultyProxy(to: socket, speaksPostgres: true)
        return (
            proxy,
            """
            host=127.0.0.1 port=\(proxy.port) \(settings.without(["host", "port"])) \
            sslmode=disable gssencmode=disable
            """
        )
    }

    /// Stops the database and removes it.
    func remove(directory: String) {
        switch self {
        case .alone(let server):
            server.stop()
            removeTree("\(directory)/data")
        case .cluster(let cluster): cluster.destroy()
        }
    }

    /// Kills a postmaster, which is started again at once.
    func killPostmaster(directory: String) {
        guard let file = fopen("\(directory)/data/postgres/postmaster.pid", "r") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, 64, file) != nil,
            let pid = Int32(
                String(decoding: line.prefix { $0 > 32 }.map(UInt8.init), as: UTF8.self)), pid > 1
        else { return }
        kill(pid, SIGKILL)
    }
}
