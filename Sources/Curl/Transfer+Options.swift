import CCurl

/// libcurl's options by the type of their value.
extension Transfer {
    func set(_ option: CURLoption, _ value: Int) {
        noteSetup(curl_set_long(easy, option, value))
    }

    func set(_ option: CURLoption, offset: Int) {
        noteSetup(curl_set_offset(easy, option, curl_off_t(offset)))
    }

    func set(_ option: CURLoption, _ value: String) {
        noteSetup(curl_set_string(easy, option, value))
    }

    func set(_ option: CURLoption, _ value: UnsafeRawPointer?) {
        noteSetup(curl_set_pointer(easy, option, value))
    }

    func set(_ option: CURLoption, _ value: UnsafeMutablePointer<curl_slist>?) {
        noteSetup(curl_set_list(easy, option, value))
    }

    func set(
        _ option: CURLoption,
        _ callback:
            @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int
    ) {
        noteSetup(curl_set_callback(easy, option, callback))
    }

    private func noteSetup(_ code: CURLcode) {
        if setupCode == CURLE_OK {
            setupCode = code
        }
    }
}
