/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "yaml.h"
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>

#define CONFIG_LENGTH 65536u

struct setting {
    const char *name;
    const char *environment;
    size_t offset;
    bool boolean;
};

#define SETTING(name, environment, member, boolean)                                                                    \
    {                                                                                                                  \
        name, environment, offsetof(struct pcn_cli_config, member), boolean                                            \
    }
static const struct setting settings[] = {
    SETTING("debug", "POLYCUBECTL_DEBUG", debug, true),
    SETTING("expert", "POLYCUBECTL_EXPERT", expert, true),
    SETTING("url", "POLYCUBECTL_URL", url, false),
    SETTING("cert", "POLYCUBECTL_CERT", cert, false),
    SETTING("key", "POLYCUBECTL_KEY", key, false),
    SETTING("cacert", "POLYCUBECTL_CACERT", cacert, false),
    SETTING("log", "POLYCUBECTL_LOG", log, false),
    SETTING("singleparameterworkaround", NULL, single_parameter, true),
};

static const char default_file[] = "# Settings of polycubectl. POLYCUBECTL_URL and the like in the environment win.\n"
                                   "debug: false\n"
                                   "expert: true\n"
                                   "url: " PCN_CLI_URL "\n"
                                   "cert: \"\"\n"
                                   "key: \"\"\n"
                                   "cacert: \"\"\n";

void pcn_cli_config_done(struct pcn_cli_config *config)
{
    free(config->url);
    free(config->cert);
    free(config->key);
    free(config->cacert);
    free(config->log);
    *config = (struct pcn_cli_config){};
}

/* An empty text is as good as none. */
static int config_set_text(struct pcn_cli_config *config, const struct setting *setting, const char *text)
{
    char **member = (char **)((char *)config + setting->offset);
    char *copy = NULL;

    if (*text) {
        copy = strdup(text);
        if (!copy)
            return -ENOMEM;
    }
    free(*member);
    *member = copy;
    return 0;
}

static int config_set_bool(struct pcn_cli_config *config, const struct setting *setting, const char *text)
{
    bool *member = (bool *)((char *)config + setting->offset);

    if (pcn_streq(text, "true") || pcn_streq(text, "1"))
        *member = true;
    else if (pcn_streq(text, "false") || pcn_streq(text, "0") || !*text)
        *member = false;
    else
        return -EINVAL;
    return 0;
}

static int config_set_json(struct pcn_cli_config *config, const struct setting *setting, const json_t *value)
{
    if (setting->boolean) {
        if (!json_is_boolean(value))
            return -EINVAL;
        *(bool *)((char *)config + setting->offset) = json_is_true(value);
        return 0;
    }
    if (!json_is_string(value) && !json_is_null(value))
        return -EINVAL;
    return config_set_text(config, setting, json_is_null(value) ? "" : json_string_value(value));
}

int pcn_cli_config_parse(struct pcn_cli_config *config, const char *text, size_t length,
                         struct pcn_cli_message *message)
{
    json_t *file = NULL;
    int r;

    r = pcn_cli_yaml_parse(text, length, &file, message);
    if (r < 0)
        return r;
    if (!json_is_object(file) && !json_is_null(file))
        r = pcn_cli_fail(message, -EINVAL, "expected lines of `name: value`");
    for (size_t i = 0; i < PCN_ARRAY_SIZE(settings) && r == 0; i++) {
        json_t *value = json_object_get(file, settings[i].name);

        if (!value)
            continue;
        r = config_set_json(config, &settings[i], value);
        if (r < 0)
            (void)pcn_cli_fail(message, r, "%s has to be %s", settings[i].name,
                               settings[i].boolean ? "true or false" : "text");
    }
    json_decref(file);
    return r;
}

static char *config_path(void)
{
    const char *directory = getenv("XDG_CONFIG_HOME"), *middle = "";
    char *path = NULL;

    if (!directory || *directory != '/') {
        directory = getenv("HOME");
        middle = "/.config";
    }
    if (!directory || *directory != '/')
        return NULL;
    return asprintf(&path, "%s%s/polycube/polycubectl_config.yaml", directory, middle) < 0 ? NULL : path;
}

/* Makes the file with the defaults, where that is possible. Another process may be doing the same: O_EXCL. */
static void config_create(const char *path)
{
    _cleanup_close_ int fd = -1;
    _cleanup_free_ char *directory = strdup(path);

    if (!directory)
        return;
    for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(directory, 0755);
        *slash = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0 && write(fd, default_file, sizeof(default_file) - 1) != (ssize_t)sizeof(default_file) - 1)
        (void)unlink(path);
}

static int config_read(struct pcn_cli_config *config, const char *path, struct pcn_cli_message *message)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    _cleanup_free_ char *text = NULL;
    ssize_t length;

    if (fd < 0)
        return pcn_cli_fail(message, -errno, "%m");
    text = malloc(CONFIG_LENGTH);
    if (!text)
        return -ENOMEM;
    length = read(fd, text, CONFIG_LENGTH);
    if (length < 0)
        return pcn_cli_fail(message, -errno, "%m");
    if ((size_t)length == CONFIG_LENGTH)
        return pcn_cli_fail(message, -E2BIG, "longer than %u bytes", CONFIG_LENGTH);
    return pcn_cli_config_parse(config, text, (size_t)length, message);
}

static int config_environment(struct pcn_cli_config *config)
{
    for (size_t i = 0; i < PCN_ARRAY_SIZE(settings); i++) {
        const char *text = settings[i].environment ? getenv(settings[i].environment) : NULL;
        int r;

        if (!text)
            continue;
        if (settings[i].boolean)
            r = config_set_bool(config, &settings[i], text);
        else
            r = config_set_text(config, &settings[i], text);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            (void)fprintf(stderr, "polycubectl: %s has to be true or false, not %s\n", settings[i].environment, text);
    }
    return 0;
}

int pcn_cli_config_load(struct pcn_cli_config *ret_config)
{
    _cleanup_(pcn_cli_config_done) struct pcn_cli_config config = {.expert = true, .single_parameter = true};
    _cleanup_free_ char *path = config_path();
    struct pcn_cli_message message = {};
    int r;

    if (path) {
        if (access(path, F_OK) < 0)
            config_create(path);
        r = config_read(&config, path, &message);
        if (r == -ENOMEM)
            return r;
        if (r < 0 && r != -ENOENT && r != -ENOTDIR)
            (void)fprintf(stderr, "polycubectl: %s: %s\n", path, message.text);
    }
    r = config_environment(&config);
    if (r < 0)
        return r;
    if (!config.url)
        config.url = strdup(PCN_CLI_URL);
    if (!config.url)
        return -ENOMEM;
    *ret_config = config;
    config = (struct pcn_cli_config){};
    return 0;
}

int pcn_cli_config_override(struct pcn_cli_config *config, const char *url, const char *instance,
                            struct pcn_cli_message *message)
{
    char *copy = NULL;

    if (url && instance)
        return pcn_cli_fail(message, -EINVAL, "only one of --url and --instance can be given");
    if (!url && !instance)
        return 0;
    if (instance) {
        for (const char *c = instance; *c; c++)
            if (!isalnum((unsigned char)*c) && !strchr("-_", *c))
                return pcn_cli_fail(message, -EINVAL, "%.100s is not the name of an instance: letters, digits, - and _",
                                    instance);
        if (asprintf(&copy, "unix:///run/polycube/%s/api.sock", instance) < 0)
            return -ENOMEM;
    } else {
        copy = strdup(url);
        if (!copy)
            return -ENOMEM;
    }
    free(config->url);
    config->url = copy;
    return 0;
}

int pcn_cli_config_base(const char *url, char **ret_base, char **ret_socket, struct pcn_cli_message *message)
{
    _cleanup_free_ char *base = NULL, *socket = NULL;
    const char *path;
    int r;

    if (strncmp(url, "unix://", 7) == 0) {
        if (url[7] != '/')
            return pcn_cli_fail(message, -EINVAL, "%.200s: expected unix:// and the absolute path of a socket", url);
        socket = strdup(url + 7);
        base = strdup("http://localhost/polycube/v1/");
        if (!socket || !base)
            return -ENOMEM;
    } else {
        if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
            return pcn_cli_fail(message, -EINVAL, "%.200s: expected http://, https:// or unix://", url);
        path = strchr(strstr(url, "://") + 3, '/');
        r = asprintf(&base, "%s%s", url, !path ? "/polycube/v1/" : path[strlen(path) - 1] == '/' ? "" : "/");
        if (r < 0)
            return -ENOMEM;
    }
    *ret_base = TAKE_PTR(base);
    *ret_socket = TAKE_PTR(socket);
    return 0;
}
