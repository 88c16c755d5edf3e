// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_config.bpf - what the programs are told of device, host and destinations.

#ifndef EXTENSION_REDIRECT_CONFIG_BPF_H
#define EXTENSION_REDIRECT_CONFIG_BPF_H

#include "extension/redirect_shared.h"

// Written by the loader before anything is attached.
volatile struct redirect_config config;

#endif
