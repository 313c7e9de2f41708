import Curl
import Glibc
import JSON
import Synchronization
import TestSupport

/// One `ledger serve` among several on one database, with faulty networks around it.
final class Node: Sendable {
    let number: Int
    /// Between the node and PostgreSQL.
    let database: FaultyProxy
    /// Between the other nodes and this one; clients come another way.
    let entrance: FaultyProxy
    let url: String
    private let flags: [String]
    private let directory: String
    private let process = Mutex<LedgerProcess?>(nil)

    /// `conninfo` lacks only the host and port, which are the proxy's.
    init(
        _ number: Int, directory: String, server: StreamSocket.Address, conninfo: String,
        isAlone: Bool
    ) {
        self.number = number
        self.directory = directory
        let port = freePort()
        url = "http://127.0.0.1:\(port)"
        database = FaultyProxy(to: server, speaksPostgres: true)
        entrance = FaultyProxy(to: .loopback(port: port))
        let proxied = """
            host=127.0.0.1 port=\(database.port) \(conninfo) sslmode=disable gssencmode=disable
            """
        flags =
            ["--database", proxied, "--listen", "127.0.0.1:\(port)"]
            + (isAlone ? [] : ["--advertise", "http://127.0.0.1:\(entrance.port)"])
    }

    /// Starts it, and waits until it listens; again and again while it can't.
    func start(patience: Duration = .seconds(60)) throws {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                let started = try LedgerProcess.serve(
                    flags, environment: ["LEDGER_DATA_DIR": directory],
                    log: "\(directory)/node-\(number).log")
                return process.withLock { $0 = started }
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    func signal(_ signal: Int32) { process.withLock { $0?.kill(signal) } }

    /// Ends it with a signal and waits until it is gone.
    func end(_ signal: Int32) {
        let ended = process.withLock { $0.take() }
        ended?.kill(signal)
        ended?.wait()
    }

    /// What `/readyz` says, if it says that the node is ready.
    var role: String? {
        let request = Request(url: "\(url)/readyz", timeoutMilliseconds: 1_000)
        guard let response = try? Transfer().perform(request), response.status == 200,
            let json = try? JSONValue.parse(response.body)
        else { return nil }
        return json["role"]?.string ?? "leader"
    }
}
