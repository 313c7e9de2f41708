import Glibc

/// Where everything that belongs to an embedded server is.
struct ClusterPaths {
    /// Where clusters go whose data directory the server's user cannot reach.
    private static let elsewhere = "/var/lib/ledger"
    /// A socket's address holds 107 bytes and a NUL.
    private static let socketPathMax = 106
    static let port = 5432

    /// The ledger's own directory, with every link resolved.
    let dataDirectory: String
    /// The directory the cluster and the socket's directory are in; mostly the same.
    let home: String

    var cluster: String { home + "/postgres" }
    /// Where initdb works; renamed when it is done, so that half a cluster is never taken for one.
    var unfinishedCluster: String { home + "/postgres.initdb" }
    var owner: String { dataDirectory + "/owner.pid" }
    var log: String { dataDirectory + "/postgres.log" }

    var socketDirectory: String {
        let path = home + "/socket"
        let name = "/.s.PGSQL.\(Self.port)"
        // libpq and PostgreSQL each split lists of paths their own way.
        let isPlain = path.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        let fits = path.utf8.count + name.utf8.count <= Self.socketPathMax
        return isPlain && fits ? path : "/tmp/ledger-\(Self.hash(home))"
    }

    var clusterExists: Bool { FileSystem.status(cluster + "/PG_VERSION") != nil }

    /// The version of PostgreSQL that made the cluster, if there is one.
    var clusterMajor: Int? {
        FileSystem.read(cluster + "/PG_VERSION").flatMap { Int($0.prefix { $0.isNumber }) }
    }

    func conninfo(database: String) -> String {
        "host=\(socketDirectory) port=\(Self.port) dbname=\(database) user=ledger"
    }

    /// Makes the data directory, and returns it with every link resolved.
    static func createDataDirectory(_ path: String) throws(EmbeddedServerError) -> String {
        // As root, PostgreSQL's user has to pass through, and what is inside protects itself.
        try FileSystem.createDirectories(path, mode: geteuid() == 0 ? 0o711 : 0o700)
        return try FileSystem.resolve(path)
    }

    /// Finds the cluster's place, or chooses one; the caller holds the lock.
    static func locate(
        dataDirectory: String, account: ServerAccount, report: (String) -> Void
    ) throws(EmbeddedServerError) -> ClusterPaths {
        let expected = dataDirectory + "/postgres"
        if let target = FileSystem.link(expected) {
            guard target.hasPrefix("/"), target.hasSuffix("/postgres"),
                let home = FileSystem.parent(target), FileSystem.isDirectory(home)
            else {
                // Starting afresh without a word would pass off lost data as an empty ledger.
                throw EmbeddedServerError(
                    """
                    The data in \(expected) is gone: it is a link to \(target), which does not \
                    exist. Restore it, or remove the link to start with an empty database.
                    """)
            }
            return ClusterPaths(dataDirectory: dataDirectory, home: home)
        }
        if account.canReach(dataDirectory) {
            return ClusterPaths(dataDirectory: dataDirectory, home: dataDirectory)
        }
        if FileSystem.isDirectory(expected) {
            throw EmbeddedServerError(
                """
                The user `postgres` cannot reach \(expected). Let it pass with `chmod o+x` on \
                \(dataDirectory) and the directories above it.
                """)
        }
        let home = try createElsewhere(hash(dataDirectory))
        guard symlink(home + "/postgres", expected) == 0 else {
            throw EmbeddedServerError(errno: errno, "linking \(expected)")
        }
        report(
            "the user postgres cannot reach \(dataDirectory): "
                + "the database is in \(home), and \(expected) links to it")
        return ClusterPaths(dataDirectory: dataDirectory, home: home)
    }

    /// The first free name: one that is taken belongs to a data directory that was deleted, and
    /// its old data must not turn up in the new one.
    private static func createElsewhere(_ name: String) throws(EmbeddedServerError) -> String {
        try FileSystem.createDirectories(elsewhere, mode: 0o755)
        for number in 1... {
            let path = "\(elsewhere)/\(name)" + (number == 1 ? "" : "-\(number)")
            if mkdir(path, 0o755) == 0 { return path }
            guard errno == EEXIST else {
                throw EmbeddedServerError(errno: errno, "making the directory \(path)")
            }
        }
        throw EmbeddedServerError("no name is free in \(elsewhere)")
    }

    /// FNV-1a, 64 bits, in hexadecimal: short, and the same in every process.
    private static func hash(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
