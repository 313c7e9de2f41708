import Glibc
import Testing

@testable import Postgres

/// A port of 127.0.0.1 that takes connections and never answers, or not even takes them.
private final class BlackHole {
    let port: Int
    private let descriptors: [Int32]

    /// With a full backlog the kernel drops what comes.
    init(isFull: Bool) {
        let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var descriptors = [listening]
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(listening, generic, size)
                listen(listening, isFull ? 0 : 16)
                getsockname(listening, generic, &size)
                for _ in 0..<(isFull ? 8 : 0) {
                    let client = socket(
                        AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
                    connect(client, generic, size)
                    descriptors.append(client)
                }
            }
        }
        self.descriptors = descriptors
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}

/// A server whose sessions only read, as a standby's.
private final class ReadOnlyServer {
    private let directory = temporaryDirectory()
    let server: EmbeddedServer

    init() throws {
        try EmbeddedServer.start(dataDirectory: directory, report: { _ in }).stop()
        server = try EmbeddedServer.start(
            dataDirectory: directory, settings: ["default_transaction_read_only=on"],
            report: { _ in })
    }

    func remove() throws {
        server.stop()
        try FileSystem.removeTree(directory)
    }
}

@Suite("A connection string with several hosts")
struct SeveralHostsTests {
    private static let server = TestServer.shared
    /// The real server's socket directory.
    private let real: String

    init() throws {
        let words = Self.server.conninfo.split(separator: " ")
        real = String(try #require(words.first { $0.hasPrefix("host=") }).dropFirst(5))
    }

    /// A port nobody listens on.
    private func deadPort() -> Int {
        let hole = BlackHole(isFull: false)
        return hole.port
    }

    private func connect(
        _ hosts: String, ports: String, more: String = "", timeout: Duration = .seconds(10)
    ) throws -> Connection {
        try Connection(
            "host=\(hosts) port=\(ports) dbname=ledger user=ledger \(more)",
            applicationName: "test", timeout: timeout)
    }

    @Test("leads past a port nobody listens on")
    func deadHost() throws {
        let connection = try connect("127.0.0.1,\(real)", ports: "\(deadPort()),5432")
        #expect(try connection.query("SELECT 1").count == 1)
    }

    @Test("leads past hosts that never answer, in time", arguments: [true, false])
    func blackHole(isFull: Bool) throws {
        let hole = BlackHole(isFull: isFull)
        let started = ContinuousClock.now
        let connection = try connect(
            "127.0.0.1,\(real)", ports: "\(hole.port),5432", timeout: .seconds(2))
        #expect(ContinuousClock.now - started < .milliseconds(1_900))
        #expect(try connection.query("SELECT 1").count == 1)
    }

    @Test("is given up on in time where no host answers, naming each with what it said")
    func allDead() throws {
        let hole = BlackHole(isFull: false)
        let dead = deadPort()
        let started = ContinuousClock.now
        let error = postgresError {
            _ = try connect(
                "127.0.0.1,127.0.0.1,127.0.0.1", ports: "\(dead),\(hole.port),\(dead)",
                timeout: .seconds(1))
        }
        #expect(ContinuousClock.now - started < .milliseconds(1_500))
        #expect(error?.kind == .connection)
        let message = error?.message ?? ""
        #expect(message.hasPrefix("none of 3 hosts can be used: 127.0.0.1:\(dead): "))
        #expect(message.contains("Connection refused"))
        #expect(message.contains("127.0.0.1:\(hole.port): PostgreSQL did not answer in time"))
    }

    @Test("leads past a server that only reads where one that writes is asked for")
    func readOnlyFirst() throws {
        let readOnly = try ReadOnlyServer()
        defer { #expect(throws: Never.self) { try readOnly.remove() } }
        let other = readOnly.server.conninfo.split(separator: " ")[0].dropFirst(5)
        let hosts = "\(other),\(real)"
        let connection = try connect(
            hosts, ports: "5432", more: "target_session_attrs=read-write")
        let setting = "SHOW default_transaction_read_only"
        #expect(try connection.query(setting).text(0, 0) == "off")
        let reader = try connect(hosts, ports: "5432", more: "target_session_attrs=read-only")
        #expect(try reader.query(setting).text(0, 0) == "on")
        let picky = try connect(hosts, ports: "5432", more: "target_session_attrs=prefer-standby")
        #expect(try picky.query("SELECT 1").count == 1)
        // The one that only reads is all there is.
        let error = postgresError {
            _ = try connect(
                "\(other),\(other)", ports: "5432", more: "target_session_attrs=read-write")
        }
        #expect(error?.message.contains("session is read-only") == true, "\(error as Any)")
    }

    @Test("starts next time with the host that answered")
    func remembered() throws {
        let hole = BlackHole(isFull: false)
        let (hosts, ports) = ("127.0.0.1,\(real)", "\(hole.port),5432")
        _ = try connect(hosts, ports: ports, timeout: .seconds(1))
        let started = ContinuousClock.now
        _ = try connect(hosts, ports: ports, timeout: .seconds(600))
        #expect(ContinuousClock.now - started < .seconds(2))
    }

    @Test("may be a URL, with addresses and a time limit of its own for each host")
    func url() throws {
        let hole = BlackHole(isFull: false)
        let socket = real.replacing("/", with: "%2F")
        let started = ContinuousClock.now
        let connection = try Connection(
            "postgresql://ledger@127.0.0.1:\(hole.port),127.0.0.1:\(hole.port),\(socket):5432/ledger"
                + "?connect_timeout=2&target_session_attrs=any",
            applicationName: "test", timeout: .seconds(60))
        #expect(ContinuousClock.now - started < .seconds(8))
        #expect(try connection.query("SHOW application_name").text(0, 0) == "test")
        let list = HostList("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=7000 dbname=x=y")
        #expect(list.hosts.map(\.name) == ["a:7000", "b:7000"])
        #expect(
            list.hosts.map { host in host.settings.first { $0.keyword == "hostaddr" }?.value }
                == ["10.0.0.1", "10.0.0.2"])
    }

    @Test("with lists of different lengths is refused in libpq's words")
    func mismatch() {
        let error = postgresError {
            _ = try connect("a,b,c", ports: "1,2")
        }
        #expect(error?.message.contains("could not match") == true)
    }
}
