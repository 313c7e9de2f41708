import Glibc

/// Where PostgreSQL's programs are.
struct PostgresBinaries {
    static let versionMin = 15

    let directory: String
    let major: Int

    var postgres: String { directory + "/postgres" }
    var initdb: String { directory + "/initdb" }

    /// Finds the newest PostgreSQL that will do, or the one that made an existing cluster.
    static func find(clusterMajor: Int?) throws(EmbeddedServerError) -> PostgresBinaries {
        let found = try candidates()
        guard let newest = found.max(by: { $0.major < $1.major }) else {
            throw EmbeddedServerError(
                """
                PostgreSQL \(versionMin) or newer was not found. Install it with \
                `apt-get install postgresql`, or set LEDGER_POSTGRES_BIN to the directory that \
                holds `postgres` and `initdb`.
                """)
        }
        guard let clusterMajor else { return newest }
        if let match = found.first(where: { $0.major == clusterMajor }) { return match }
        throw EmbeddedServerError(
            """
            The data was written by PostgreSQL \(clusterMajor), and only \(newest.major) was \
            found. Install it with `apt-get install postgresql-\(clusterMajor)`, or convert the \
            data with pg_upgrade.
            """)
    }

    private static func candidates() throws(EmbeddedServerError) -> [PostgresBinaries] {
        var directories: [String] = []
        if let chosen = getenv("LEDGER_POSTGRES_BIN"), chosen.pointee != 0 {
            directories = [String(cString: chosen)]
        } else {
            // Debian keeps one directory per version, none of them in PATH.
            for version in versionMin..<100 {
                directories.append("/usr/lib/postgresql/\(version)/bin")
            }
            let path = getenv("PATH").map { String(cString: $0) } ?? ""
            directories += path.split(separator: ":").map(String.init)
        }
        var found: [PostgresBinaries] = []
        for directory in directories where holdsServer(directory) {
            if let major = try major(of: directory + "/postgres"), major >= versionMin {
                found.append(PostgresBinaries(directory: directory, major: major))
            }
        }
        return found
    }

    private static func holdsServer(_ directory: String) -> Bool {
        access(directory + "/postgres", X_OK) == 0 && access(directory + "/initdb", X_OK) == 0
    }

    /// Reads `postgres (PostgreSQL) 15.18 (Debian …)`.
    private static func major(of postgres: String) throws(EmbeddedServerError) -> Int? {
        let words = try ChildProcess.run([postgres, "--version"]).output.split(separator: " ")
        guard words.count > 2 else { return nil }
        return Int(words[2].prefix { $0.isNumber })
    }
}

/// Finds a program in the usual places, which a daemon's PATH may leave out.
func findProgram(_ name: String) -> String? {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map { "\($0)/\(name)" }
        .first { access($0, X_OK) == 0 }
}

/// The user PostgreSQL runs as: this one, or `postgres` where this one is root.
struct ServerAccount {
    let user: uid_t
    let group: gid_t
    /// What goes before a command to run it as that user.
    let commandPrefix: [String]

    var isOther: Bool { !commandPrefix.isEmpty }

    static func current() throws(EmbeddedServerError) -> ServerAccount {
        guard geteuid() == 0 else {
            return ServerAccount(user: geteuid(), group: getegid(), commandPrefix: [])
        }
        guard let entry = getpwnam("postgres") else {
            throw EmbeddedServerError(
                """
                PostgreSQL does not run as root, and there is no user `postgres` to run it as. \
                Install PostgreSQL with `apt-get install postgresql`, or run the ledger as an \
                ordinary user.
                """)
        }
        let user = entry.pointee.pw_uid
        let group = entry.pointee.pw_gid
        if let setpriv = findProgram("setpriv") {
            let prefix = [setpriv, "--reuid=\(user)", "--regid=\(group)", "--clear-groups", "--"]
            return ServerAccount(user: user, group: group, commandPrefix: prefix)
        }
        if let runuser = findProgram("runuser") {
            let prefix = [runuser, "-u", "postgres", "--"]
            return ServerAccount(user: user, group: group, commandPrefix: prefix)
        }
        throw EmbeddedServerError(
            "PostgreSQL does not run as root, and neither setpriv nor runuser was found. "
                + "Install them with `apt-get install util-linux`.")
    }

    /// Whether the user can pass through a directory and all above it.
    func canReach(_ directory: String) -> Bool {
        guard isOther else { return true }
        var next: String? = directory
        while let path = next {
            guard let status = FileSystem.status(path) else { return false }
            let bit: mode_t =
                status.st_uid == user ? 0o100 : status.st_gid == group ? 0o010 : 0o001
            if status.st_mode & bit == 0 { return false }
            next = path == "/" ? nil : FileSystem.parent(path)
        }
        return true
    }

    /// Makes a directory that only this user can enter.
    func createPrivateDirectory(_ path: String) throws(EmbeddedServerError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw EmbeddedServerError(errno: errno, "making the directory \(path)")
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
            status.st_uid == user || status.st_uid == geteuid()
        else {
            throw EmbeddedServerError(
                "\(path) is not a directory of ours: somebody else made it. Remove it.")
        }
        guard chown(path, user, group) == 0, chmod(path, 0o700) == 0 else {
            throw EmbeddedServerError(errno: errno, "giving \(path) to user \(user)")
        }
    }
}
