import CCurl

/// One of libcurl's easy handles: its options by the type of their value, and its errors.
final class EasyHandle {
    let pointer: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    /// The first option that this libcurl did not take: what it forbids is not to be sent.
    private(set) var setupCode = CURLE_OK

    init() {
        pointer = Self.make(curl_easy_init)
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        set(CURLOPT_ERRORBUFFER, errorText)
    }

    deinit {
        curl_easy_cleanup(pointer)
        errorText.deallocate()
    }

    /// Makes one of libcurl's handles, after setting up the library.
    static func make(_ handle: () -> UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        guard globalInit == CURLE_OK, let handle = handle() else {
            fatalError("libcurl could not be set up: out of memory")
        }
        return handle
    }

    private static let globalInit = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    /// Puts every option back; the connections outlast the reset.
    func reset() {
        curl_easy_reset(pointer)
        setupCode = CURLE_OK
        forgetError()
        set(CURLOPT_ERRORBUFFER, errorText)
    }

    /// Forgets the words of the last error, which libcurl keeps when it has none of its own.
    func forgetError() {
        errorText[0] = 0
    }

    /// Why the handle can't be used; nil if libcurl took every option.
    func setupError(url: String) -> CurlError? {
        setupCode == CURLE_OK ? nil : error(setupCode, url: url)
    }

    /// The error of a transfer to `url` that ended with `code`.
    func error(_ code: CURLcode, url: String) -> CurlError {
        var systemError = 0
        curl_get_long(pointer, CURLINFO_OS_ERRNO, &systemError)
        return CurlError(
            code: code, systemError: systemError, url: url,
            detail: String(cString: errorText))
    }

    /// What libcurl says of a transfer that ended with `code`.
    func words(for code: CURLcode) -> String {
        let words = String(cString: errorText)
        return words.isEmpty ? String(cString: curl_easy_strerror(code)) : words
    }

    func set(_ option: CURLoption, _ value: Int) {
        noteSetup(curl_set_long(pointer, option, value))
    }

    func set(_ option: CURLoption, offset: Int) {
        noteSetup(curl_set_offset(pointer, option, curl_off_t(offset)))
    }

    func set(_ option: CURLoption, _ value: String) {
        noteSetup(curl_set_string(pointer, option, value))
    }

    func set(_ option: CURLoption, _ value: UnsafeRawPointer?) {
        noteSetup(curl_set_pointer(pointer, option, value))
    }

    func set(_ option: CURLoption, _ value: UnsafeMutablePointer<curl_slist>?) {
        noteSetup(curl_set_list(pointer, option, value))
    }

    /// Sets a copy of the bytes.
    func set(_ option: CURLoption, blob: [UInt8]) {
        blob.withUnsafeBytes { bytes in
            var value = curl_blob(
                data: UnsafeMutableRawPointer(mutating: bytes.baseAddress), len: bytes.count,
                flags: UInt32(CURL_BLOB_COPY))
            noteSetup(curl_set_blob(pointer, option, &value))
        }
    }

    func set(
        _ option: CURLoption,
        _ callback:
            @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int
    ) {
        noteSetup(curl_set_callback(pointer, option, callback))
    }

    /// Sets the callback that is asked before each sending of the request.
    func set(beforeSending callback: curl_prereq_callback) {
        noteSetup(curl_set_prerequest(pointer, callback))
    }

    /// Sets the callback that makes the sockets.
    func set(openSocket callback: curl_opensocket_callback) {
        noteSetup(curl_set_open_socket(pointer, callback))
    }

    /// Sets the callback that closes the sockets.
    func set(closeSocket callback: curl_closesocket_callback) {
        noteSetup(curl_set_close_socket(pointer, callback))
    }

    /// Sets what every exchange of the ledger has in common: HTTP alone, nothing taken from the
    /// environment, no redirects, no cookies and no signals.
    func setCommonOptions() {
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_PROXY, "")
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        set(CURLOPT_TCP_KEEPALIVE, 1)
    }

    private func noteSetup(_ code: CURLcode) {
        if setupCode == CURLE_OK {
            setupCode = code
        }
    }
}
